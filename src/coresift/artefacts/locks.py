"""A lock that is a file: says who holds it, and is free again when its holder is gone.

The file names host, process and the moment that process began, so that on the same host a killed holder is recognised
at once, also when its number was given to another process. On other hosts, and where processes cannot be seen, a
holder counts as gone when it has not touched the file for `STALE` seconds; living holders touch it every `BEAT`.
"""

import contextlib
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coresift import files

BEAT, STALE, PAUSE = 15.0, 120.0, 0.25
"""Seconds between two signs of life; after which a silent holder counts as gone; between two looks of who waits."""

_held: set[Path] = set()
_beating = threading.Lock()


@contextmanager
def locked(path: Path, *, what: str, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock, waiting for whoever holds it now.

    Args:
        path: The file; made with its folder, gone afterwards.
        what: What is waited for, in words.
        say: Told once when there is somebody to wait for.
    """
    waiting = False
    new = [each for each in (path.parent, *path.parent.parents) if not each.exists()]
    while not _taken(path):
        if not waiting:
            say(f"waiting: {what} is being made by {_in_words(_read(path))}")
            waiting = True
        time.sleep(PAUSE)
    _keep_alive(path)
    try:
        yield
    finally:
        _held.discard(path)
        path.unlink(missing_ok=True)
        for folder in new:  # where nothing was made, nothing is left
            with contextlib.suppress(OSError):
                folder.rmdir()


def holder(path: Path) -> str | None:
    """Who holds a lock, in words; None where nobody living does."""
    found = _read(path)
    return None if found is None or _is_gone(path, found) else _in_words(found)


def _taken(path: Path) -> bool:
    """Take the lock if it is free; looking and taking are one step for all who try."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.parent):
        found = _read(path)
        if found is not None and not _is_gone(path, found):
            return False
        files.write_json(path, _me())
        return True


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else looks at locks of this folder meanwhile; it leaves no file and ends with the process."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _me() -> dict[str, Any]:
    return {"host": _host(), "pid": os.getpid(), "began": _began(os.getpid())}


def _host() -> str:
    """The machine, and the space in which its process numbers mean something (containers have their own)."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return f"{socket.gethostname()} {space}".strip()


def _began(pid: int) -> float | None:
    """When a process began; None when there is no such process."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_gone(path: Path, found: dict[str, Any]) -> bool:
    if found.get("host") == _host():
        began = _began(int(found.get("pid", 0)))
        return began is None or abs(began - float(found.get("began") or 0.0)) > 1.0
    try:
        return time.time() - path.stat().st_mtime > STALE
    except FileNotFoundError:
        return True


def _in_words(found: dict[str, Any] | None) -> str:
    if not found or "pid" not in found:
        return "another process"
    host = str(found.get("host", "")).split(" ")[0]
    return f"process {found['pid']}" + ("" if found.get("host") == _host() else f" on {host}")


def _keep_alive(path: Path) -> None:
    """Let one thread of this process touch all that it holds."""
    with _beating:
        _held.add(path)
        if not any(thread.name == _beat.__name__ for thread in threading.enumerate()):
            threading.Thread(target=_beat, name=_beat.__name__, daemon=True).start()


def _beat() -> None:
    while True:
        time.sleep(BEAT)
        for path in tuple(_held):
            try:
                os.utime(path)
            except OSError:  # gone, or its disk is: who waits decides what that means
                continue
