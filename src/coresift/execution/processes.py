"""The engine of several processes on one machine: items are numbered work that any of them can do."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from pathlib import Path

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


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def may_spawn() -> bool:
    """Whether processes may be started unasked: not from one of several, and not from a user's own script.

    A spawned process begins by running the script once more, and nothing shows from here whether it is protected by
    `if __name__ == "__main__"`.
    """
    main = sys.modules["__main__"]
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    name = Path(file or "coresift").name if spec is None else str(spec.name).partition(".")[0]
    return name == "coresift" and parent_process() is None


def _begin(threads: int) -> None:
    os.environ["OMP_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = str(threads)
    if "torch" in sys.modules:  # else it reads the above when it is needed, which not all work does
        sys.modules["torch"].set_num_threads(threads)
