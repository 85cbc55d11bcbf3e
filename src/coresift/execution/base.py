"""The protocol of an engine that runs independent pieces of work."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar, runtime_checkable

Item = TypeVar("Item")
Result = TypeVar("Result")


@runtime_checkable
class Executor(Protocol):
    """Runs one function over independent items.

    Items must be idempotent: an engine may run one again after a failure. Results come back in the order of the items.
    """

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], *, label: str, unit: str = ""
    ) -> Iterator[Result]:
        """Apply `function` to every item; `label` names the work in the progress bar."""
        ...
