"""Threads for two kinds of work: many small steps want one, a few long loops want all of them.

Threads that meet after each of many small steps mostly wait for each other. Compiled loops release Python's lock, so
plain threads share a long one.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TypeVar

from coresift.lazy import torch

T = TypeVar("T")


_meant: ContextVar[int | None] = ContextVar("threads", default=None)
"""How many threads torch had before `one_thread`."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one CPU thread for a while; the number it had is given back, whatever happens.

    Long loops `in_parts` go on using as many as torch had.
    """
    before, token = torch.get_num_threads(), None
    if _meant.get() is None:
        token = _meant.set(before)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        if token is not None:
            _meant.reset(token)


def in_parts(work: Callable[[int, int], T], total: int, *, threads: int | None = None) -> list[T]:
    """work(begin, end) on consecutive parts of range(total), one part per thread; the results in order.

    Args:
        work: A loop that releases Python's lock and writes nothing that another part reads or writes.
        total: Length of the whole.
        threads: How many; as many as torch uses, or used before `one_thread`, when None.
    """
    count = min(threads or _meant.get() or torch.get_num_threads(), total)
    if count <= 1:
        return [work(0, total)]
    cuts = [total * part // count for part in range(count + 1)]
    return list(_pool(count).map(work, cuts[:-1], cuts[1:]))


@cache
def _pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="coresift")
