"""Numbers and labels of a pool's own columns, into the feature store. No language model is run."""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from coresift import fingerprints
from coresift.data.pool import Pool
from coresift.errors import DataError
from coresift.extract.shards import Account, fill
from coresift.features.columns import ColumnSpec, LabelSpec
from coresift.features.store import FeatureStore
from coresift.models.encoders import Encoder

SHOWN = 5
"""Ids named in a message."""


def columns_identity(pool: Pool, column: str) -> dict[str, str]:
    """What arrays of a column depend on, for the identity of a store: what stands in it; no pool's hash covers that."""
    return {"column": fingerprints.of_json([_plain(_field(pool.row(place), column)) for place in range(len(pool))])}


def extract_column(pool: Pool, store: FeatureStore, spec: ColumnSpec) -> None:
    """Fill the array of `spec`.

    Raises:
        DataError: If rows have no finite number there; their number and some ids are named.
    """
    if len(store.array(spec).missing()) == 0:
        return
    found = [_field(pool.row(place), spec.column) for place in range(len(pool))]
    bad = [pool.ids[place] for place, value in enumerate(found) if not _is_number(value)]
    if bad:
        known = ", ".join(sorted({str(name) for place in range(min(100, len(pool))) for name in pool.row(place)}))
        raise DataError(
            f"column {spec.column!r}: {len(bad)} of {len(pool)} rows have no number there ({_some(bad)}). Columns: "
            f"{known}. Name another column, or fill it for all rows."
        )
    values = torch.tensor(found, dtype=torch.float64)[:, None]
    fill(store.array(spec), lambda shard: (values[shard.start : shard.stop], 0), label="columns")


def extract_labels(
    pool: Pool, store: FeatureStore, spec: LabelSpec, encoder: Encoder | None, *, account: Account | None = None
) -> None:
    """Fill the array of `spec`.

    Args:
        pool: The pool, in the order of `store.ids`.
        store: Where the rows go; its identity names the encoder.
        spec: Which labels.
        encoder: `load_encoder(spec.encoder)`; None where labels are kept apart.
        account: Called after every shard with its seconds.

    Raises:
        DataError: If no row has a label, or something there is none.
    """
    if len(store.array(spec).missing()) == 0:
        return
    labels = [_labels(pool, place, spec.column) for place in range(len(pool))]
    names = sorted({label for each in labels for label in each})
    if len(names) == 0:
        raise DataError(f"column {spec.column!r}: no row has a label there. Name the column that holds them.")
    number = {name: place for place, name in enumerate(names)}
    shared = None if encoder is None else sharing(encoder.encode(names).rows, spec.threshold)

    def compute(shard: range) -> tuple[Tensor, int]:
        rows = torch.zeros(len(shard), len(names), dtype=torch.float64)
        for place, index in enumerate(shard):
            for label in labels[index]:
                rows[place, number[label]] = 1.0 / len(labels[index])
        return rows if shared is None else rows @ shared, 0

    fill(store.array(spec), compute, label="labels", account=account)


def sharing(rows: Tensor, threshold: float) -> Tensor:
    """[L, L] cosines of unit rows where at least `threshold`, columns made to sum to 1; a label shares with itself."""
    cosines = rows.double() @ rows.double().T
    near = cosines.where(cosines >= threshold, 0.0).fill_diagonal_(1.0)
    return near / near.sum(dim=0)


def _labels(pool: Pool, place: int, column: str) -> list[str]:
    """Different labels of one row, in the order given."""
    value = _field(pool.row(place), column)
    if value is None and column == "source":
        value = pool[place].source
    texts = [value] if isinstance(value, str) else value
    if texts is None:
        return []
    if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
        raise DataError(
            f"example {pool.ids[place]}: column {column!r} holds {value!r:.60}. "
            "Labels are a list of texts, or one text."
        )
    return list(dict.fromkeys(text.strip() for text in texts if text.strip()))


def _field(row: Mapping[str, Any], column: str) -> Any:
    """The value of a column, or of a field inside it; None where there is none."""
    if column in row:
        return row[column]
    value: Any = row
    for name in column.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _plain(value: Any) -> Any:
    """A value that can be written as JSON."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return value if isinstance(value, str | int | None) else repr(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _some(ids: Iterable[str]) -> str:
    first = list(ids)
    return ", ".join(map(repr, first[:SHOWN])) + (", ..." if len(first) > SHOWN else "")
