"""Rendered conversations as arrays: two or four bytes a token and one bit of mask, in memory or mapped from files.

tokens.npy   uint16 or uint32 [total]    all tokens, one conversation after the other
masks.npy    uint8 [ceil(total / 8)]     whether each is predicted, eight to a byte
starts.npy   int64 [rows + 1]            where each conversation begins; the last is the total
facts.json                               faults by position, and what the template left out or moved
"""

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from coresift import files, fingerprints
from coresift.models.render import Rendered, RenderFault

SMALL = 1 << 16


@dataclass(frozen=True, slots=True)
class Packed:
    """All conversations of a pool, whatever their length.

    Attributes:
        tokens: [total], unsigned.
        masks: Bits of [total], packed.
        starts: [rows + 1], int64.
        faults: Why conversations could not be rendered, by position; they have no tokens.
        notes: What the template left out or moved, counted.
    """

    tokens: np.ndarray
    masks: np.ndarray
    starts: np.ndarray
    faults: Mapping[int, RenderFault]
    notes: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        """[rows] tokens of each conversation."""
        return np.diff(self.starts)

    def mask(self, begin: int, end: int) -> np.ndarray:
        """[end - begin] whether each of these tokens is predicted."""
        first = begin // 8
        bits = np.unpackbits(self.masks[first : -(-end // 8)])
        return bits[begin - 8 * first : end - 8 * first].astype(bool)

    def row(self, position: int, id: str) -> Rendered:
        """One conversation."""
        begin, end = int(self.starts[position]), int(self.starts[position + 1])
        return Rendered(id, tuple(self.tokens[begin:end].tolist()), tuple(self.mask(begin, end).tolist()))

    def targets(self, positions: np.ndarray) -> np.ndarray:
        """How many tokens of each of some conversations are predicted."""
        return np.array([self.mask(int(self.starts[at]), int(self.starts[at + 1])).sum() for at in positions])

    def fingerprint(self, positions: np.ndarray) -> str:
        """Hash of the tokens and masks of some conversations, in order."""
        parts = []
        for at in positions:
            begin, end = int(self.starts[at]), int(self.starts[at + 1])
            parts.append(np.append(end - begin, self.tokens[begin:end].astype(np.int64)).tobytes())
            parts.append(self.mask(begin, end).tobytes())
        return fingerprints.of_bytes(b"".join(parts))

    def save(self, folder: Path) -> None:
        """Write the files."""
        for name in ("tokens", "masks", "starts"):
            np.save(folder / f"{name}.npy", getattr(self, name), allow_pickle=False)
        faults = {str(place): [fault.id, fault.reason] for place, fault in self.faults.items()}
        files.write_json(folder / "facts.json", {"faults": faults, "notes": dict(self.notes)})

    @classmethod
    def joined(cls, parts: Sequence["Packed"]) -> "Packed":
        """The conversations of several, one after the other."""
        faults, notes, before = dict[int, RenderFault](), Counter[str](), 0
        for part in parts:
            faults |= {before + place: fault for place, fault in part.faults.items()}
            notes.update(part.notes)
            before += len(part)
        lengths = np.concatenate([np.zeros(1, dtype=np.int64), *(part.lengths for part in parts)])
        bits = [np.unpackbits(part.masks, count=int(part.starts[-1])) for part in parts]
        tokens = np.concatenate([part.tokens for part in parts])
        return cls(tokens, np.packbits(np.concatenate(bits)), np.cumsum(lengths), faults, dict(notes))

    @classmethod
    def load(cls, folder: Path) -> "Packed":
        """Map the files: what is not looked at is not read."""
        tokens, masks = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("tokens", "masks"))
        facts = files.read_object(folder / "facts.json")
        faults = {int(place): RenderFault(*fault) for place, fault in facts["faults"].items()}
        return cls(tokens, masks, np.load(folder / "starts.npy"), faults, facts["notes"])


class Packing:
    """Packs conversations as they come."""

    def __init__(self) -> None:
        self._tokens, self._masks, self._starts = array("I"), bytearray(), [0]

    def add(self, row: Rendered | None) -> None:
        """The next conversation; None where there is none."""
        if row is not None:
            self._tokens.extend(row.tokens)
            self._masks.extend(row.response)
        self._starts.append(len(self._tokens))

    def packed(self, faults: Mapping[int, RenderFault], notes: Mapping[str, int]) -> Packed:
        """All of them."""
        tokens = np.frombuffer(self._tokens, dtype=np.uint32) if self._tokens else np.zeros(0, dtype=np.uint32)
        small = len(tokens) == 0 or int(tokens.max()) < SMALL
        bits = np.packbits(np.frombuffer(self._masks, dtype=np.uint8)) if self._masks else np.zeros(0, dtype=np.uint8)
        starts = np.array(self._starts, dtype=np.int64)
        return Packed(tokens.astype(np.uint16) if small else tokens, bits, starts, dict(faults), dict(notes))


class PackedRows(Sequence[Rendered]):
    """Some conversations of a pool, made as they are looked at.

    Args:
        packed: Where they are.
        positions: Which, in order.
        ids: Of the same.
    """

    def __init__(self, packed: Packed, positions: np.ndarray, ids: Sequence[str]) -> None:
        self.packed, self.positions, self.ids = packed, positions, ids

    def __len__(self) -> int:
        return len(self.positions)

    @overload
    def __getitem__(self, place: int) -> Rendered: ...
    @overload
    def __getitem__(self, place: slice) -> "PackedRows": ...
    def __getitem__(self, place: int | slice) -> "Rendered | PackedRows":
        if isinstance(place, slice):
            return PackedRows(self.packed, self.positions[place], self.ids[place])
        return self.packed.row(int(self.positions[place]), self.ids[place])

    def __iter__(self) -> Iterator[Rendered]:
        return (self[place] for place in range(len(self)))

    @property
    def lengths(self) -> np.ndarray:
        """[len] tokens of each."""
        return self.packed.lengths[self.positions]

    @property
    def targets(self) -> np.ndarray:
        """[len] predicted tokens of each."""
        return self.packed.targets(self.positions)

    @property
    def fingerprint(self) -> str:
        """Hash of tokens and masks, in order."""
        return self.packed.fingerprint(self.positions)
