"""The engine of several processes on one machine: items are numbered work that any of them can do."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from coresift.execution.base import Item, Result
from coresift.progress import track


class ProcessExecutor:
    """Runs items in spawned processes; functions and items travel, so both are plain and importable.

    Args:
        workers: How many processes; each has its share of the cores.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], *, label: str, unit: str = ""
    ) -> Iterator[Result]:
        """Apply `function` to every item; results in the order of the items."""
        threads = max((os.cpu_count() or 1) // self.workers, 1)
        with ProcessPoolExecutor(
            self.workers, mp_context=get_context("spawn"), initializer=_begin, initargs=(threads,)
        ) as pool:
            yield from track(pool.map(function, items), label, total=len(items), unit=unit)


def _begin(threads: int) -> None:
    os.environ["OMP_NUM_THREADS"] = str(threads)
    import torch

    torch.set_num_threads(threads)
