"""Sequences whose items are made when somebody asks: a pool of a million rows is held as bytes, not as objects."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, overload

import numpy as np

T = TypeVar("T", covariant=True)


class Lazy(Sequence[T]):
    """An immutable sequence of `make(place)` for every one of `places`; equal places give equal items.

    Args:
        make: What makes an item; called again each time that one is asked for.
        places: What it is given, ascending or not; whole numbers [n].
    """

    def __init__(self, make: Callable[[int], T], places: Sequence[int] | np.ndarray) -> None:
        self._make, self._places = make, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, position: int) -> T: ...
    @overload
    def __getitem__(self, position: slice) -> tuple[T, ...]: ...
    def __getitem__(self, position: int | slice) -> T | tuple[T, ...]:
        if isinstance(position, slice):
            return tuple(self._make(int(place)) for place in self._places[position])
        return self._make(int(self._places[position]))

    def __iter__(self) -> Iterator[T]:
        return (self._make(int(place)) for place in self._places)

    def take(self, positions: Sequence[int] | np.ndarray) -> "Lazy[T]":
        """The items at some positions, in that order, as lazy as before."""
        return Lazy(self._make, np.asarray(self._places)[np.asarray(positions, dtype=np.int64)])


def taken(items: Sequence[T], positions: Sequence[int] | np.ndarray) -> Sequence[T]:
    """The items at some positions: of a lazy sequence a lazy one."""
    return items.take(positions) if isinstance(items, Lazy) else tuple(items[int(position)] for position in positions)
