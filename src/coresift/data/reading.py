"""One pass over the records of a pool: what they are, which of them are examples, and what is wrong with the others."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np

from coresift.data.examples import Interpreter
from coresift.data.index import Index
from coresift.data.lazy import Lazy
from coresift.data.locate import Source
from coresift.data.notes import Notes, Tally
from coresift.data.pool import Example, Pool, SkippedRow
from coresift.data.records import Record, RowFault
from coresift.progress import track


class Reading:
    """The records of one or several files, each with what makes examples of them, read once from end to end.

    Args:
        sources: The files, each with its own interpreter.

    Attributes:
        faults: Place of a record among all, and why it is no example; ascending.
        notes: What was not read of the examples.
    """

    def __init__(self, sources: Sequence[tuple[Source, Interpreter]]) -> None:
        self._sources = tuple(sources)
        self._ends = list(accumulate(len(source.records) for source, _ in sources))
        self.faults: list[tuple[int, str]] = []
        found, tally = _Found(), Tally()
        records = track(self._all(), "reading the pool", total=self.total, unit="records")
        for place, (record, interpreter) in enumerate(records):
            try:
                if record.fault != "":
                    raise RowFault(record.fault)
                example, notes = interpreter.example(record.row)
                self._refuse_taken(example.id, found)
            except RowFault as fault:
                self.faults.append((place, str(fault)))
                continue
            found.add(example, place)
            tally.add(notes)
        self.notes: Notes = tally.notes
        self._kept, self._index = found.packed()

    @property
    def total(self) -> int:
        """How many records there are."""
        return self._ends[-1]

    def record(self, place: int) -> Record:
        """A record by its place among all; it names its file where there are several."""
        return self._at(place)[0]

    def interpreter(self, place: int) -> Interpreter:
        """What reads the record at a place."""
        return self._at(place)[1]

    def pool(self, origin: str) -> Pool:
        """The examples, their records and the skipped rows, made when they are asked for. Errors as `Pool.packed`."""
        kept, ids = self._kept, self._index.ids

        def example(position: int) -> Example:
            record, interpreter = self._at(int(kept[position]))
            return replace(interpreter.example(record.row)[0], id=ids[position])

        examples = Lazy(example, np.arange(len(kept), dtype=np.int32))
        skipped = Lazy(self._skipped, range(len(self.faults))) if self.faults else ()
        records = Lazy(self.record, kept)
        return Pool.packed(examples, records, self._index, skipped=skipped, origin=origin, notes=self.notes)

    def _refuse_taken(self, id: str, found: "_Found") -> None:
        """Raise RowFault if an earlier record has the id."""
        if id not in found.given:
            return
        first = self.record(found.kept[found.given[id]])
        where = f"{first.file}, {first.where}" if first.file else first.where
        raise RowFault(
            f"the id {id!r} is already that of {where}; ids must be unique. "
            "Mend them, or take ids from the content with --map id="
        )

    def _skipped(self, number: int) -> SkippedRow:
        place, reason = self.faults[number]
        record = self.record(place)
        return SkippedRow(record.number, reason, record.row, record.file)

    def _all(self) -> Iterator[tuple[Record, Interpreter]]:
        for source, interpreter in self._sources:
            for record in source.records:
                yield self._named(record, source), interpreter

    def _at(self, place: int) -> tuple[Record, Interpreter]:
        number = bisect_right(self._ends, place)
        source, interpreter = self._sources[number]
        return self._named(source.records[place - (self._ends[number - 1] if number else 0)], source), interpreter

    def _named(self, record: Record, source: Source) -> Record:
        return record if len(self._sources) == 1 else replace(record, file=source.name)


class _Found:
    """What is kept of the examples while the records are read."""

    def __init__(self) -> None:
        self.kept, self.given = array("i"), dict[str, int]()
        self._keys, self._sources, self._names = array("Q"), array("i"), dict[str, int]()

    def add(self, example: Example, place: int) -> None:
        """Count a record as the next example."""
        if example.id != "":
            self.given[example.id] = len(self.kept)
        self.kept.append(place)
        self._keys.append(int(example.content_key, 16))
        self._sources.append(self._names.setdefault(example.source, len(self._names)))

    def packed(self) -> tuple[np.ndarray, Index]:
        """Places of the examples among the records, and what is known of them."""
        keys = np.array(self._keys, dtype=np.uint64)
        return np.array(self.kept, dtype=np.int32), Index.packed(self.given, self._sources, tuple(self._names), keys)
