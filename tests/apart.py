"""Python in a process of its own, for a test to kill: forked from one that has loaded torch and transformers."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

PATIENCE = 180
"""Seconds after which a process that should have done something is given up."""

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["transformers.models.llama", "transformers.trainer", "trl.trainer.sft_trainer", "peft"])


def start(code: str, *arguments: object, said: Path = Path(os.devnull)) -> BaseProcess:
    """Run code with arguments in `sys.argv[1:]`; what it prints goes to a file.

    The folders of `sys.path` here are known there, so test modules can be imported.
    """
    process = _FORKS.Process(target=_run, args=(code, [*map(str, arguments)], said), daemon=True)
    process.start()
    return process


def until(ready: Callable[[], bool], process: BaseProcess) -> None:
    """Wait for a moment in the life of a process."""
    deadline = time.monotonic() + PATIENCE
    while not ready():
        assert process.is_alive(), f"it ended before that moment, with code {process.exitcode}"
        assert time.monotonic() < deadline, "that moment never came"
        time.sleep(0.002)


def kill(process: BaseProcess) -> None:
    """End it as a power cut would."""
    process.kill()
    assert code_of(process) == -signal.SIGKILL, "it ended before it could be killed"


def code_of(process: BaseProcess) -> int | None:
    """Its exit code, once it has ended."""
    process.join(PATIENCE)
    return process.exitcode


def _run(code: str, arguments: list[str], said: Path) -> None:
    with said.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv[1:] = arguments
    exec(compile(code, "<apart>", "exec"), {"__name__": "__main__"})
