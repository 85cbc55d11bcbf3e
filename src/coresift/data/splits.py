"""Seeded random parts of a pool."""

from collections.abc import Iterable, Sequence

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


def held_out_groups(n: int, size: int, groups: Iterable[Sequence[int]], *, seed: int, name: str) -> tuple[int, ...]:
    """About `size` positions out of `n` at random, with every group in it whole or not at all.

    Positions come in the order of `random_positions`; each brings the rest of its group, unless that would be more than
    `size` in all. So there are at most `size` of them, fewer where no whole group fits the rest; only if no group at
    all is that small, the first one is taken whole. Without groups it is the same draw as `random_positions`.

    Args:
        n: How many positions there are.
        size: How many are wanted.
        groups: Positions that belong together, as `Pool.duplicates`; a position is in at most one of them.
        seed: As for `random_positions`.
        name: As for `random_positions`.

    Raises:
        DataError: Unless 0 < size < n, or if all positions are one group.
    """
    if not 0 < size < n:
        raise DataError(f"cannot hold out {size} of {n} examples: the size must lie between 1 and {n - 1}.")
    group_of = {position: tuple(group) for group in groups for position in group}
    order = random_positions(n, n, seed=seed, name=name)
    chosen: dict[int, None] = {}
    for position in order:
        group = group_of.get(position, (position,))
        if position not in chosen and len(chosen) + len(group) <= size:
            chosen |= dict.fromkeys((position, *group))
        if len(chosen) == size:
            break
    if len(chosen) == 0:
        chosen = dict.fromkeys((order[0], *group_of[order[0]]))
    if len(chosen) == n:
        raise DataError(f"cannot hold out a part of {n} examples that are all equal. Set pool.held_out=0.")
    return tuple(chosen)
