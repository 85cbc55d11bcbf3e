"""Progress with an estimate of the time left: a bar on a terminal, sparse plain lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TypeVar

from coresift.terminal import shown

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds of silence before anything is shown."""
LINE_EVERY = 15.0
"""Seconds between plain lines when standard error is not a terminal."""


class Progress:
    """Counts `advance` calls up to `total` and shows them once the work has taken `PATIENCE` seconds.

    Args:
        label: What is done.
        total: Units of work in all.
        unit: What they are called.
        begun: How many were done before, by a run that was killed say: they say nothing about the time left.
    """

    def __init__(self, label: str, total: int, *, unit: str = "", begun: int = 0) -> None:
        self.label, self.total, self.unit = shown(label), total, unit
        self.done = self._begun = begun
        self._began = self._shown = time.monotonic()
        self._bar: _Bar | None = None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self, step: int = 1) -> None:
        """Count `step` more units of work as done."""
        self.done += step
        now = time.monotonic()
        if now - self._began < PATIENCE:
            return
        if sys.stderr.isatty():
            if self._bar is None:
                self._bar = _Bar(self.label, self.total, self._begun)
            self._bar.update(self.done)
        elif now - self._shown >= LINE_EVERY:
            self._shown = now
            left = (now - self._began) / max(self.done - self._begun, 1) * max(self.total - self.done, 0)
            print(f"{self.label}: {self.done}/{self.total} {self.unit}, about {left:.0f} s left", file=sys.stderr)

    def reach(self, done: int) -> None:
        """Say how many units of work are done in all."""
        self.advance(done - self.done)


class _Bar:
    """The rich bar, imported only when one is shown."""

    def __init__(self, label: str, total: int, begun: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Rich

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._rich = Rich(*columns, console=Console(stderr=True), transient=True)
        self._rich.start()
        self._task = self._rich.add_task(label, total=total, completed=begun)

    def update(self, done: int) -> None:
        self._rich.update(self._task, completed=done)

    def close(self) -> None:
        self._rich.stop()


def track(items: Iterable[T], label: str, *, total: int, unit: str = "") -> Iterator[T]:
    """Yield `items` while showing how many of `total` are done."""
    with Progress(label, total, unit=unit) as progress:
        for item in items:
            yield item
            progress.advance()
