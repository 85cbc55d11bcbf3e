"""A coreset and the skipped records as JSON Lines."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from coresift import files
from coresift.data.pool import Pool, SkippedRow
from coresift.data.values import jsonable
from coresift.errors import DataError

# Valid inside JSON text, but many programs take them for the end of a line.
_LINE_ENDS = {ord(mark): f"\\u{ord(mark):04x}" for mark in "\x85\u2028\u2029"}


def write_coreset(
    path: str | Path, pool: Pool, positions: Sequence[int] | np.ndarray, weights: Sequence[float] | np.ndarray
) -> None:
    """Write `coreset_text` to a .jsonl file, whole or not at all. Raises as that does."""
    files.write_text(Path(path), coreset_text(pool, positions, weights, name=str(path)))


def coreset_text(
    pool: Pool,
    positions: Sequence[int] | np.ndarray,
    weights: Sequence[float] | np.ndarray,
    *,
    name: str = "coreset.jsonl",
) -> str:
    """The chosen rows in pick order and in the input's own schema, with `coresift_id` and `coresift_weight`.

    A row that already has these two columns, because the pool is itself a coreset, gets the new values.

    Args:
        pool: The pool that `positions` refer to.
        positions: Pool positions [k], all different, in the order picked.
        weights: Finite and positive [k]: how many pool examples each one stands for.
        name: What errors call it.

    Raises:
        DataError: If positions and weights differ in number, a position is not in the pool or comes twice, or a weight
            is not finite and positive.
    """
    chosen = [int(position) for position in positions]
    # A float32 weight is written with the digits it has, not with those of its float64 neighbour.
    values = [float(str(weight)) for weight in np.asarray(weights)]
    if len(chosen) != len(values):
        raise DataError(f"{name}: {len(chosen)} positions but {len(values)} weights. Pass one weight per position.")
    for example, weight in zip(pool.take(chosen), values, strict=True):
        if not (math.isfinite(weight) and weight > 0):
            raise DataError(f"{name}: example {example.id!r} has the weight {weight}. Weights are finite and above 0.")
    lines = [
        _line({**pool.row(position), "coresift_id": pool[position].id, "coresift_weight": weight})
        for position, weight in zip(chosen, values, strict=True)
    ]
    return "".join(lines)


def write_skipped(path: str | Path, skipped: Sequence[SkippedRow]) -> None:
    """Write one line {record, reason, row} per skipped record; an empty file where there is none.

    A record of a pool that was read from several files also says in which `file` it is.
    """
    places = ({"file": row.file, "record": row.record} if row.file else {"record": row.record} for row in skipped)
    lines = [_line({**place, "reason": row.reason, "row": row.row}) for place, row in zip(places, skipped, strict=True)]
    files.write_text(Path(path), "".join(lines))


def _line(row: Mapping[str, Any]) -> str:
    try:
        value: Any = row
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):  # a type that JSON does not know, or a number that is not finite
        value = jsonable(row)
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        # Half a surrogate pair in a column nobody reads: only its escaped form can be written.
        text = json.dumps(value, allow_nan=False)
    return text.translate(_LINE_ENDS) + "\n"
