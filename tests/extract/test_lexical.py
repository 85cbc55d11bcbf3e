"""BM25 for a target: what a word is in any script, and scores by the formula."""

import builtins
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coresift.errors import SettingsError
from coresift.extract.embeddings import text_of
from coresift.extract.lexical import bm25, extract_lexical, words
from coresift.features.store import FeatureStore
from coresift.features.targets import LexicalSpec

pytest.importorskip("bm25s")


def by_the_formula(texts: Sequence[Sequence[str]], query: Sequence[str], k1: float, b: float) -> list[float]:
    mean = sum(map(len, texts)) / len(texts)
    scores = []
    for text in texts:
        score = 0.0
        for word in query:
            n_w, f = sum(word in other for other in texts), text.count(word)
            idf = math.log(1 + (len(texts) - n_w + 0.5) / (n_w + 0.5))
            score += idf * f / (f + k1 * (1 - b + b * len(text) / mean)) if f else 0.0
        scores.append(score)
    return scores


TEXTS = st.lists(st.lists(st.sampled_from("abcde"), max_size=6), min_size=1, max_size=6)


@settings(deadline=None)
@given(texts=TEXTS, query=st.lists(st.sampled_from("abcdz"), max_size=5), b=st.sampled_from([0.0, 0.75, 1.0]))
def test_scores_are_those_of_the_formula(texts: list[list[str]], query: list[str], b: float) -> None:
    found = bm25(texts, [query], k1=1.2, b=b)[:, 0]
    expected = by_the_formula(texts, query, 1.2, b) if any(texts) else [0.0] * len(texts)
    assert found.tolist() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_words_are_letters_digits_and_marks_that_stand_together() -> None:
    assert words("BM25 finds 3 Äpfel, don't it?") == ["bm25", "finds", "3", "äpfel", "don", "t", "it"]
    assert words("x_1 = Ｆｕｌｌｗｉｄｔｈ") == ["x", "1", "fullwidth"]
    assert words("... !?") == [] and words("") == []


def test_a_script_without_spaces_is_cut_into_neighbours() -> None:
    assert words("今天天气很好") == ["今天", "天天", "天气", "气很", "很好"]
    assert words("喝水。水!") == ["喝水", "水"]
    assert words("GPT是模型v2") == ["gpt", "是模", "模型", "v2"]
    assert words("カタカナとｶﾅ") == ["カタ", "タカ", "カナ", "ナと", "とカ", "カナ"]


def test_vowel_signs_stay_with_their_letter() -> None:
    assert words("दिन अच्छा है") == ["दिन", "अच्छा", "है"]
    assert words("กินน้ำ")[0] == "กิน" and all(len(word) >= 2 for word in words("กินน้ำ"))


def test_a_chinese_question_finds_the_chinese_answer() -> None:
    texts = ["北京是中国的首都。", "苹果是一种水果。", "水在零度结冰。", "The capital of France is Paris."]
    scores = bm25([words(text) for text in texts], [words("中国的首都在哪里?")], k1=1.5, b=0.75)[:, 0]
    assert int(scores.argmax()) == 0 and scores[3] == 0.0


def test_the_pool_is_scored_for_every_target_example_shard_by_shard(tmp_path: Path) -> None:
    pool, target, spec = list(tiny.pool(8)), list(tiny.pool(3)), LexicalSpec(query="prompt")
    store = FeatureStore(tmp_path, identity={}, ids=[each.id for each in pool], shard_rows=3)
    costs: list[dict[str, Any]] = []
    extract_lexical(pool, target, store, spec, account=lambda **cost: costs.append(cost))
    expected = bm25([words(text_of(e)) for e in pool], [words(text_of(e, "prompt")) for e in target], k1=1.5, b=0.75)
    torch.testing.assert_close(store[spec], expected, rtol=1e-3, atol=1e-3)
    assert len(costs) == 3
    extract_lexical(pool, target, store, spec, account=lambda **cost: costs.append(cost))
    assert len(costs) == 3


def test_a_library_that_is_not_there_is_named_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **named: Any) -> Any:
        if name == "bm25s":
            raise ImportError(name)
        return real(name, *args, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SettingsError, match=r"needs the package bm25s, .* Run `pip install 'coresift\[targets\]'`"):
        bm25([["a"]], [["a"]], k1=1.5, b=0.75)
