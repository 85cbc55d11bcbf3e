"""Numbers and labels in the rows of a pool: read from fields, spread over labels alike, and missing ones named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch

from coresift.data.pool import Example, Pool
from coresift.errors import DataError
from coresift.extract.columns import columns_identity, extract_column, extract_labels, sharing
from coresift.features.columns import ColumnSpec, LabelSpec
from coresift.features.store import FeatureStore


def pool_of(*rows: dict[str, Any]) -> Pool:
    examples = [tiny.example("q", str(place), id=f"e{place}") for place in range(len(rows))]
    return Pool(examples, rows=rows)


def numbers(pool: Pool, column: str, folder: Path) -> list[float]:
    store = FeatureStore(folder, identity={}, ids=pool.ids, shard_rows=2)
    extract_column(pool, store, ColumnSpec(column=column))
    return store[ColumnSpec(column=column)][:, 0].tolist()


def labels(pool: Pool, folder: Path, column: str = "labels", encoder: Any = None) -> np.ndarray:
    spec = LabelSpec(column=column, encoder="" if encoder is None else "some")
    store = FeatureStore(folder, identity={}, ids=pool.ids, shard_rows=2)
    extract_labels(pool, store, spec, encoder)
    return store[spec].numpy()


def test_numbers_are_read_from_columns_and_from_fields_inside_them(tmp_path: Path) -> None:
    pool = pool_of(*({"s": place, "deep": {"score": place / 3}, "a.b": -place} for place in range(5)))
    assert numbers(pool, "s", tmp_path / "s") == [0, 1, 2, 3, 4]
    assert numbers(pool, "deep.score", tmp_path / "deep") == pytest.approx([place / 3 for place in range(5)])
    assert numbers(pool, "a.b", tmp_path / "dotted") == [0, -1, -2, -3, -4]


@pytest.mark.parametrize("bad", [None, "4", True, float("nan")])
def test_rows_without_a_number_are_named(bad: Any, tmp_path: Path) -> None:
    pool = pool_of({"s": 1}, {"s": bad}, {"other": 2})
    with pytest.raises(DataError, match=r"2 of 3 rows have no number there \('e1', 'e2'\). Columns: other, s"):
        numbers(pool, "s", tmp_path)


def test_labels_share_one_example_among_themselves_and_rows_without_any_are_zero(tmp_path: Path) -> None:
    pool = pool_of({"labels": ["b", "a", "b"]}, {"labels": " a "}, {"labels": []}, {})
    np.testing.assert_allclose(labels(pool, tmp_path), [[0.5, 0.5], [1, 0], [0, 0], [0, 0]], atol=1e-3)


def test_the_source_is_a_label_where_no_column_is_called_so(tmp_path: Path) -> None:
    examples = [tiny.example("q", "x", id="e0"), tiny.example("q", "y", id="e1")]
    named = zip(examples, "ab", strict=True)
    pool = Pool([Example(id=each.id, messages=each.messages, source=name) for each, name in named])
    assert labels(pool, tmp_path, "source").tolist() == [[1, 0], [0, 1]]


def test_labels_that_mean_nearly_the_same_share(tmp_path: Path) -> None:
    near = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [0.95, 0.3122], [0.0, 1.0]]), dim=1)
    mixed = sharing(near, 0.9)
    expected = torch.tensor([[1 / 1.95, 0.95 / 1.95, 0], [0.95 / 1.95, 1 / 1.95, 0], [0, 0, 1]], dtype=torch.float64)
    torch.testing.assert_close(mixed, expected, atol=1e-3, rtol=0)

    class Encoder:
        def encode(self, texts: list[str]) -> Any:
            assert texts == ["a", "b", "c"]
            return type("Encoded", (), {"rows": near})

    pool = pool_of({"labels": ["a"]}, {"labels": ["b", "c"]})
    found = labels(pool, tmp_path, encoder=Encoder())
    np.testing.assert_allclose(found, [mixed[0].tolist(), (0.5 * (mixed[1] + mixed[2])).tolist()], atol=1e-3)


def test_labels_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"example e0: column 'labels' holds \[1, 2\]. Labels are a list of texts"):
        labels(pool_of({"labels": [1, 2]}), tmp_path)
    with pytest.raises(DataError, match="column 'labels': no row has a label there"):
        labels(pool_of({"other": "a"}), tmp_path)


def test_what_stands_in_a_column_is_part_of_the_identity() -> None:
    one, same, other = (columns_identity(pool_of({"s": each}), "s") for each in (1.5, 1.5, [2, {"a": None}]))
    assert one == same != other
