"""The fold of a sketch on a CPU, compiled: weight, sign and add every entry while it is read once.

What torch does in one pass per step (a product with the signs, a padded copy, a gather, a sum) costs about ten times as
long there. On other devices torch does it; both give the same numbers but for the order of additions.
"""

import numpy as np
from numba import njit
from torch import Tensor

from coresift.submodular.threads import in_parts

Array = np.ndarray


def fold(into: Tensor, rows: Tensor, factors: Tensor, *, offset: int, shifts: Tensor) -> None:
    """Add rows, entry by entry times its factor, to the columns that the shifts of their chunks say.

    Args:
        into: [b, dim] on the CPU, changed in place.
        rows: [b, entries], of the dtype of `into`.
        factors: [entries], what every entry is multiplied with.
        offset: Number of the first entry in the whole gradient.
        shifts: Those of the chunks from `offset // dim` on, each from 0 up to dim.
    """
    out, read, each, places = into.numpy(), rows.contiguous().numpy(), factors.numpy(), shifts.numpy()
    in_parts(lambda begin, end: _fold(out[begin:end], read[begin:end], each, offset, places), len(read))


@njit(nogil=True, cache=True)
def _fold(into: Array, rows: Array, factors: Array, offset: int, shifts: Array) -> None:
    dim, entries = into.shape[1], rows.shape[1]
    first = offset // dim
    for row in range(len(rows)):
        begin = 0
        while begin < entries:
            chunk = (offset + begin) // dim
            column = offset + begin - chunk * dim
            target = (column + shifts[chunk - first]) % dim
            count = min(entries - begin, dim - column, dim - target)  # up to where either side wraps around
            _add(into[row, target : target + count], rows[row, begin : begin + count], factors[begin : begin + count])
            begin += count


@njit(nogil=True, cache=True)
def _add(into: Array, values: Array, factors: Array) -> None:
    for place in range(len(into)):
        into[place] += values[place] * factors[place]
