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
        self._kept, self._keys, self._source_of = array("q"), array("Q"), array("l")
        self._given: dict[str, int] = {}
        self._names: dict[str, int] = {}
        tally = Tally()
        records = track(self._all(), "reading the pool", total=self.total, unit="records")
        for place, (record, interpreter) in enumerate(records):
            try:
                if record.fault != "":
                    raise RowFault(record.fault)
                example, notes = interpreter.example(record.row)
                self._add(example, place)
            except RowFault as fault:
                self.faults.append((place, str(fault)))
                continue
            tally.add(notes)
        self.notes: Notes = tally.notes

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
        kept = np.frombuffer(self._kept, np.int64)
        keys = np.frombuffer(self._keys, np.uint64)
        index = Index.packed(self._given, self._source_of, tuple(self._names), keys)
        count = np.arange(len(kept), dtype=np.int32)

        def example(position: int) -> Example:
            record, interpreter = self._at(int(kept[position]))
            return replace(interpreter.example(record.row)[0], id=index.ids[position])

        skipped = Lazy(self._skipped, range(len(self.faults))) if self.faults else ()
        records = Lazy(self.record, kept)
        return Pool.packed(Lazy(example, count), records, index, skipped=skipped, origin=origin, notes=self.notes)

    def _add(self, example: Example, place: int) -> None:
        """Count a record as the next example. Raises RowFault if an earlier one has its id."""
        if example.id in self._given:
            first = self.record(self._kept[self._given[example.id]])
            where = f"{first.file}, {first.where}" if first.file else first.where
            raise RowFault(
                f"the id {example.id!r} is already that of {where}; ids must be unique. "
                "Mend them, or take ids from the content with --map id="
            )
        if example.id != "":
            self._given[example.id] = len(self._kept)
        self._kept.append(place)
        self._keys.append(int(example.content_key, 16))
        self._source_of.append(self._names.setdefault(example.source, len(self._names)))

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
