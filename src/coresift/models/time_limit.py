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
    thread, lock, state = ctypes.c_ulong(threading.get_ident()), threading.Lock(), {"open": True}

    def interrupt() -> None:
        with lock:
            if state["open"]:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(OutOfTime))

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with lock:
            state["open"] = False
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, None)  # takes back what was not raised yet
        timer.cancel()
