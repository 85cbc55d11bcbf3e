"""Rows made ready for distances: checked, centred, scaled to about one, and keyed so that equal rows are known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from coresift.errors import SelectionError
from coresift.lazy import torch
from coresift.submodular.threads import in_parts

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 1 << 16
"""Elements handled at a time on a CPU: about what its cache holds."""
LARGE_BLOCK = 1 << 26
"""The same on other devices."""
PARTS = 64
"""Runs of rows summed apart, however many threads there are."""
SHOWN = 5
"""Bad rows named in a message."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Attributes:
    values: n x d, centred and divided by `scale`.
    scale: A power of two, so that scaling loses nothing.
    keys: n whole numbers; rows that are equal bit for bit have equal keys.
    squares: Squared lengths of `values`, float64 (n).
    """

    values: Tensor
    scale: float
    keys: Tensor
    squares: Tensor


def check_rows(rows: Tensor, *, name: str) -> None:
    """Refuse what is not an n x d array of finite numbers.

    Raises:
        SelectionError: With the numbers of the first rows that hold NaN or infinity.
    """
    if rows.ndim != 2 or rows.numel() == 0:
        raise SelectionError(f"{name}: shape {tuple(rows.shape)}. Selection needs an n x d array that is not empty.")
    bad = _not_finite(rows)
    if bad:
        named = ", ".join(map(str, bad[:SHOWN])) + (", ..." if len(bad) > SHOWN else "")
        raise SelectionError(
            f"{name}: {len(bad)} of {len(rows)} rows hold NaN or infinity (rows {named}, counted from 0). "
            "Every row must be finite: extract those examples again or leave them out of the pool."
        )


def prepare(rows: Tensor, *, dtype: torch.dtype, device: torch.device | None = None) -> Rows:
    """Subtract the mean row (in float64), so that products cancel less; distances stay what they are.

    Args:
        rows: n x d, finite.
        dtype: Precision of the values returned.
        device: Where they are to be, if not where the rows are: these stay there, and are moved a block at a time.
    """
    there = device or rows.device
    if rows.device.type == there.type == "cpu" and rows.dtype == dtype == torch.float32:
        return _compiled(rows.contiguous())
    mean = torch.zeros(rows.shape[1], dtype=torch.float64, device=there)
    for _, block in blocks(rows, there):
        mean += (block.double() / len(rows)).sum(dim=0)
    scale = power_of_two(max(float((block.double() - mean).abs().amax()) for _, block in blocks(rows, there)))
    values = torch.empty(rows.shape, dtype=dtype, device=there)
    keys = torch.empty(len(rows), dtype=torch.int64, device=there)
    squares = torch.empty(len(rows), dtype=torch.float64, device=there)
    for start, block in blocks(rows, there):
        part = slice(start, start + len(block))
        values[part] = ((block.double() - mean) / scale).to(dtype)
        keys[part], squares[part] = _keys(block), values[part].double().square().sum(dim=1)
    return Rows(values, scale, keys, squares)


def _compiled(rows: Tensor) -> Rows:
    """`prepare` for float32 rows on a CPU, on all threads; what they add up does not depend on how many there are."""
    from coresift.submodular.compiled import rows as compiled

    given, n, d = rows.numpy(), *rows.shape
    parts = [slice(n * part // PARTS, n * (part + 1) // PARTS) for part in range(PARTS)]
    totals = np.zeros((PARTS, d))
    in_parts(lambda a, b: [compiled.add_rows(given[parts[i]], totals[i]) for i in range(a, b)], PARTS)
    mean = totals.sum(axis=0) / n
    farthest = in_parts(lambda a, b: float(compiled.farthest(given[a:b], mean)), n)
    scale = power_of_two(max(farthest))
    values, keys, squares = np.empty_like(given), np.empty(n, dtype=np.int64), np.empty(n)
    words, odd = rows.view(torch.int32).numpy(), _odd(d).numpy()

    def work(a: int, b: int) -> None:
        compiled.centred(given[a:b], words[a:b], mean, scale, odd, values[a:b], keys[a:b], squares[a:b])

    in_parts(work, n)
    return Rows(torch.from_numpy(values), scale, torch.from_numpy(keys), torch.from_numpy(squares))


def _not_finite(rows: Tensor) -> list[int]:
    """The rows that hold NaN or infinity."""
    if rows.device.type == "cpu" and rows.dtype == torch.float32 and rows.numel() > BLOCK:
        from coresift.submodular.compiled import rows as compiled

        given, wrong = rows.contiguous().numpy(), np.zeros(len(rows), dtype=np.bool_)
        in_parts(lambda begin, end: compiled.unfinished(given, wrong, begin, end), len(rows))
        found: list[int] = np.flatnonzero(wrong).tolist()
        return found
    bad: list[int] = []
    for start, block in blocks(rows):
        bad += (start + (~torch.isfinite(block).all(dim=1)).nonzero().flatten()).tolist()
    return bad


def power_of_two(value: float) -> float:
    """The smallest power of two not below `value`; 1 for 0."""
    if value == 0.0:
        return 1.0
    mantissa, exponent = math.frexp(value)
    return math.ldexp(1.0, exponent - 1 if mantissa == 0.5 else exponent)


def blocks(rows: Tensor, device: torch.device | None = None) -> Iterator[tuple[int, Tensor]]:
    """Consecutive rows, on another device if one is given, with the position of the first."""
    there = device or rows.device
    step = max(1, (BLOCK if there.type == "cpu" else LARGE_BLOCK) // rows.shape[1])
    for start in range(0, len(rows), step):
        yield start, rows[start : start + step].to(there)


def _keys(rows: Tensor) -> Tensor:
    """A sum of the rows' 32-bit words times fixed odd numbers, modulo 2^64: whole numbers, so the same everywhere."""
    exact = rows if rows.dtype == torch.float64 else rows.float()
    words = (exact + 0.0).contiguous().view(torch.int32)  # + 0.0 turns -0 into 0
    return (words.long() * _odd(words.shape[1]).to(rows.device)).sum(dim=1)


def _odd(count: int) -> Tensor:
    chooser = torch.Generator().manual_seed(count)
    return torch.randint(-(1 << 62), 1 << 62, (count,), generator=chooser) * 2 + 1
