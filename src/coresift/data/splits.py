"""Seeded random parts of a pool."""

from coresift.errors import DataError
from coresift.seeds import generator


def random_positions(n: int, size: int, *, seed: int, name: str) -> tuple[int, ...]:
    """`size` different positions out of `n`, uniformly at random, in the order drawn.

    The same seed and name give the same draw on every machine, and a smaller draw is the beginning of a larger one.

    Raises:
        DataError: Unless 0 < size <= n.
    """
    if not 0 < size <= n:
        raise DataError(f"cannot draw {size} of {n} examples for {name!r}: the size must lie between 1 and {n}.")
    return tuple(generator(seed, name).permutation(n)[:size].tolist())
