"""The local engine: in order, lazily, and an Executor."""

from coresift.execution.base import Executor
from coresift.execution.local import LocalExecutor


def test_results_come_in_the_order_of_the_items_and_only_when_asked_for() -> None:
    seen: list[int] = []

    def square(item: int) -> int:
        seen.append(item)
        return item * item

    results = LocalExecutor().map(square, [3, 1, 2], label="squares")
    assert seen == []
    assert next(results) == 9 and seen == [3]
    assert list(results) == [1, 4]


def test_it_is_an_executor() -> None:
    assert isinstance(LocalExecutor(), Executor)
