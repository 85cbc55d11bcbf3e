"""Stored utilities are read with pool examples first, whoever was shown."""

from pathlib import Path
from typing import Any

import pytest
import torch

from coresift.errors import FeatureError
from coresift.features.memory import InMemoryFeatures
from coresift.features.utilities import EmbeddingSpec, SimilaritySpec, UtilitySpec
from coresift.features.utility_store import UtilityStore

POOL = [f"p{place}" for place in range(9)]
POINTS = torch.nn.functional.normalize(torch.randn(9, 4, generator=torch.Generator().manual_seed(0)), dim=1)


def store(folder: Path, **settings: Any) -> UtilityStore:
    groups: dict[str, Any] = {"pool": POOL, "target": ["t0", "t1"], "existing": ["e0", "e1", "e2"], **settings}
    return UtilityStore(folder, identity={"model": "m"}, **groups)


def worth(shown: str, answered: str) -> float:
    """A number that tells which example is shown to which."""
    return 100.0 * (ord(shown[0]) + int(shown[1])) + ord(answered[0]) + int(answered[1])


def fill(held: UtilityStore, spec: UtilitySpec) -> None:
    array = held.array(spec)
    for shard in array.missing():
        rows = [[array.rows[row] for row in array.places(place) or range(len(array.rows))] for place in shard]
        columns = [
            torch.tensor([worth(array.examples[place], row) for row in each])
            for place, each in zip(shard, rows, strict=True)
        ]
        array.write(shard, columns, [(0, 0)] * len(shard))


@pytest.mark.parametrize(
    ("part", "width", "who"),
    [
        ("pool", 9, lambda j, i: (f"p{j}", f"p{i}")),
        ("target", 2, lambda j, t: (f"p{j}", f"t{t}")),
        ("by-target", 2, lambda i, q: (f"t{q}", f"p{i}")),
        ("existing", 3, lambda i, e: (f"e{e}", f"p{i}")),
    ],
)
def test_pool_examples_come_first(tmp_path: Path, part: Any, width: int, who: Any) -> None:
    held, spec = store(tmp_path), UtilitySpec(part=part)
    fill(held, spec)
    found = held[spec]
    assert held.n == 9 and found.shape == (9, width)
    for row in range(9):
        assert found[row].tolist() == [worth(*who(row, column)) for column in range(width)]


def test_only_some_rows_are_answered_and_the_others_hold_zero(tmp_path: Path) -> None:
    held = store(tmp_path)
    for part in ("pool", "existing"):
        spec = UtilitySpec.model_validate({"part": part, "rows": 4, "seed": 2})
        fill(held, spec)
        places, found = spec.predicted(9).tolist(), held[spec]
        assert len(held.array(spec).rows) == 4
        if part == "pool":
            assert found[3].tolist() == [worth("p3", f"p{place}") for place in places]
        else:
            assert found[places[1]].tolist() == [worth(f"e{e}", f"p{places[1]}") for e in range(3)]
            assert sorted(set(range(9)) - set(places)) == (found == 0).all(dim=1).nonzero().flatten().tolist()


def test_rules_for_oneself_share_an_array(tmp_path: Path) -> None:
    held = store(tmp_path)
    fill(held, UtilitySpec())
    assert held[UtilitySpec(self_="zero")].diagonal().tolist() == [0.0] * 9
    assert len(list(tmp_path.iterdir())) == 1


def test_candidates_come_from_the_embeddings(tmp_path: Path) -> None:
    spec, encoder = UtilitySpec(candidates=4), EmbeddingSpec()
    held = store(tmp_path, embeddings=InMemoryFeatures({encoder: POINTS}))
    fill(held, spec)
    found = held[spec]
    assert found.layout == torch.sparse_csr and len(found.values()) == 36
    dense = found.to_dense()
    assert (dense > 0).sum(dim=0).tolist() == [4] * 9 and (dense.diagonal() > 0).all()
    assert dense[2, 2].item() == worth("p2", "p2")
    assert torch.equal(held[encoder], POINTS)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match="the target set has no examples"):
        store(tmp_path, target=()).array(UtilitySpec(part="target"))
    with pytest.raises(FeatureError, match="the existing set has no examples"):
        store(tmp_path, existing=()).array(UtilitySpec(part="existing"))
    with pytest.raises(FeatureError, match="candidates come from embeddings. Give those of embedding-full-"):
        store(tmp_path).array(UtilitySpec(candidates=4))
    with pytest.raises(FeatureError, match="no array for similarity-target-.* Held: utilities only"):
        store(tmp_path)[SimilaritySpec(part="target")]
