"""Embeddings in the store: the right text of a conversation, only what is missing, and cosines with other examples."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import tiny
import torch

from coresift.errors import ModelError
from coresift.extract.embeddings import embedding_identity, extract_embeddings, extract_similarities, text_of
from coresift.features.store import FeatureStore
from coresift.features.utilities import EmbeddingSpec, SimilaritySpec
from coresift.models.encoders import Encoded, load_encoder

SPEC = EmbeddingSpec(model="letters")


class Letters:
    """Counts of a few letters, made unit length; reads 30 characters."""

    max_tokens = 30

    def __init__(self) -> None:
        self.seen: list[str] = []

    def encode(self, texts: Sequence[str], *, label: str = "embeddings") -> Encoded:
        self.seen += texts
        rows = torch.tensor([[1.0 + text[: self.max_tokens].count(letter) for letter in "aeinot"] for text in texts])
        rows = rows / rows.norm(dim=1, keepdim=True)
        return Encoded(rows, sum(len(text) >= self.max_tokens for text in texts), sum(map(len, texts)))


def store(folder: Path, n: int = 8) -> FeatureStore:
    return FeatureStore(folder, identity={"pool": "p"}, ids=[f"e{place}" for place in range(n)], shard_rows=3)


def test_prompt_and_response_split_at_the_last_answer() -> None:
    example = tiny.example("one", "two", "three", "four", system="be kind")
    assert text_of(example, "prompt") == "be kind\none\ntwo\nthree"
    assert text_of(example, "response") == "four"
    assert text_of(example) == "be kind\none\ntwo\nthree\nfour"


def test_a_question_after_the_last_answer_is_not_embedded() -> None:
    assert text_of(tiny.example("one", "two", "three")) == "one\ntwo"


def test_only_missing_shards_are_computed_and_each_is_accounted_for(tmp_path: Path) -> None:
    examples, encoder, costs = list(tiny.pool(8)), Letters(), []
    where = store(tmp_path)
    extract_embeddings(encoder, examples, where, SPEC, account=lambda **cost: costs.append(cost))
    assert encoder.seen == [text_of(example) for example in examples]
    assert len(costs) == 3 and sum(cost["tokens"] for cost in costs) == sum(map(len, encoder.seen))
    bytes_before = {path.name: path.read_bytes() for path in (tmp_path / SPEC.key).iterdir()}
    next((tmp_path / SPEC.key).glob("rows-0000003*")).unlink()
    again = Letters()
    extract_embeddings(again, examples, store(tmp_path), SPEC)
    assert again.seen == encoder.seen[3:6]
    assert {path.name: path.read_bytes() for path in (tmp_path / SPEC.key).iterdir()} == bytes_before
    torch.testing.assert_close(where[SPEC].norm(dim=1), torch.ones(8), atol=1e-3, rtol=0)


def test_texts_longer_than_the_encoder_reads_are_said_once(tmp_path: Path) -> None:
    said: list[str] = []
    extract_embeddings(Letters(), list(tiny.pool(8)), store(tmp_path), SPEC, say=said.append)
    assert said == ["embeddings: 8 of 8 texts reach the encoder's 30 tokens; what comes after is not looked at"]


def test_similarities_are_the_cosines_with_the_other_examples(tmp_path: Path) -> None:
    pool, others, encoder, said = list(tiny.pool(8)), list(tiny.pool(3)), Letters(), []
    spec = SimilaritySpec(part="target", encoder=EmbeddingSpec(model="letters", text="response"))
    where = store(tmp_path)
    extract_similarities(encoder, pool, others, where, spec, say=said.append)
    left, right = (encoder.encode([text_of(each, "response") for each in part]).rows for part in (pool, others))
    torch.testing.assert_close(where[spec], left @ right.T, atol=1e-3, rtol=0)
    assert len(said) == 0
    silent = Letters()
    extract_similarities(silent, pool, others, where, spec)
    assert silent.seen == []


def test_the_identity_of_a_store_names_the_files_of_the_encoder(tmp_path: Path) -> None:
    one, two = (tiny.save(tmp_path / name, seed=seed) for name, seed in (("one", 0), ("two", 1)))
    first, second = (embedding_identity(EmbeddingSpec(model=str(folder))) for folder in (one, two))
    assert first != second and first == embedding_identity(EmbeddingSpec(model=str(one)))
    with pytest.raises(ModelError, match="no such folder"):
        embedding_identity(EmbeddingSpec(model=str(tmp_path / "three")))


def test_a_real_encoder_fills_a_store(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model")
    spec, where, pool = EmbeddingSpec(model=str(folder)), store(tmp_path / "store"), list(tiny.pool(8))
    extract_embeddings(load_encoder(folder), pool, where, spec)
    expected = load_encoder(folder).encode([text_of(example) for example in pool]).rows
    torch.testing.assert_close(where[spec], expected, atol=1e-3, rtol=0)
