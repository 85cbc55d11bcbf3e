"""The engine of one process: items one after the other, with a progress bar."""

from collections.abc import Callable, Iterator, Sequence

from coresift.execution.base import Item, Result
from coresift.progress import track


class LocalExecutor:
    """Runs items in order in this process."""

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], *, label: str, unit: str = ""
    ) -> Iterator[Result]:
        """Apply `function` to every item, lazily, in order."""
        return map(function, track(items, label, total=len(items), unit=unit))
