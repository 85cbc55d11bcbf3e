"""What is kept of every example of a pool: its name, where it comes from, and a hash of its turns."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from coresift import fingerprints
from coresift.data.lazy import Lazy, taken


@dataclass(frozen=True, slots=True)
class Index:
    """Names, sources and content of the examples of a pool [n].

    Attributes:
        ids: Unique.
        sources: "" where there is none.
        keys: `Example.content_key` as a number, uint64.
    """

    ids: Sequence[str]
    sources: Sequence[str]
    keys: np.ndarray

    @classmethod
    def packed(
        cls, given: Mapping[str, int], sources: Sequence[int], names: Sequence[str], keys: np.ndarray
    ) -> "Index":
        """The index of examples as they were read, in about 12 bytes each where ids come from the content.

        Args:
            given: The ids that rows have, with their positions, ascending.
            sources: For every example the place of its source in `names`.
            names: Of the sources.
            keys: As above.
        """
        return cls(_ids(given, keys), Lazy(names.__getitem__, np.asarray(sources, dtype=np.int32)), keys)

    def take(self, positions: Sequence[int] | np.ndarray) -> "Index":
        """The index of the examples at some positions."""
        return Index(
            taken(self.ids, positions), taken(self.sources, positions), self.keys[np.asarray(positions, dtype=np.int64)]
        )

    @property
    def fingerprint(self) -> str:
        """Hash of ids, sources and content in order."""
        keys = (f"{key:016x}" for key in self.keys.tolist())
        return fingerprints.of_json_list([*each] for each in zip(self.ids, self.sources, keys, strict=True))

    @property
    def duplicates(self) -> tuple[tuple[int, ...], ...]:
        """Groups (two or more positions, ascending) of equal content, by their first position."""
        order = np.argsort(self.keys, kind="stable")
        ranked = self.keys[order]
        edges = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1], [True]]))
        long = np.flatnonzero(np.diff(edges) > 1)
        groups = (tuple(order[edges[place] : edges[place + 1]].tolist()) for place in long)
        return tuple(sorted(groups))


def keys_of(content_keys: Iterable[str]) -> np.ndarray:
    """Content keys, 16 hex digits each, as numbers."""
    return np.array([int(key, 16) for key in content_keys], dtype=np.uint64)


def _ids(given: Mapping[str, int], keys: np.ndarray) -> Sequence[str]:
    """An id for every example: its own, or its content key with the number of its occurrence."""
    if len(given) == len(keys):
        return tuple(given)
    if len(given) > 0:
        return tuple(_mixed(given, keys))
    copies = _copies(keys)
    return Lazy(lambda place: _name(int(keys[place]), copies.get(place, 1)), np.arange(len(keys), dtype=np.int32))


def _mixed(given: Mapping[str, int], keys: np.ndarray) -> Iterable[str]:
    """Ids of examples some of which have their own; those from the content avoid these."""
    own, copies = {position: id for id, position in given.items()}, Counter[int]()
    for position, key in enumerate(keys.tolist()):
        if position in own:
            yield own[position]
            continue
        copies[key] += 1
        while _name(key, copies[key]) in given:
            copies[key] += 1
        yield _name(key, copies[key])


def _copies(keys: np.ndarray) -> dict[int, int]:
    """Position to the number of its occurrence, for every copy of an earlier example."""
    groups = Index((), (), keys).duplicates
    return {position: number for group in groups for number, position in enumerate(group, start=1) if number > 1}


def _name(key: int, copy: int) -> str:
    return f"{key:016x}" if copy == 1 else f"{key:016x}-{copy}"
