"""A limit on how long foreign Python code runs, in any thread: a chat template may loop for ever."""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class OutOfTime(Exception):
    """The code inside a `time_limit` ran longer than allowed."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `OutOfTime` inside the block once it has run for `seconds`.

    A timer asks the interpreter to raise in this thread, which it does before the next bytecode. So it works in every
    thread, unlike a signal, and leaves signals to others; a single call into compiled code runs to its end first.
    """
    thread, lock, open_, asked = ctypes.c_ulong(threading.get_ident()), threading.Lock(), [True], []

    def interrupt() -> None:
        with lock:
            if open_:
                asked.append(True)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(OutOfTime))

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    except OutOfTime:
        asked.clear()
        raise
    finally:
        with lock:
            open_.clear()
        timer.cancel()
        if asked:
            _await()


def _await() -> None:
    """Take an exception that is on its way; it cannot be called back without harm to the interpreter (CPython 3.11)."""
    try:
        for _ in range(1000):
            pass
    except OutOfTime:
        pass
