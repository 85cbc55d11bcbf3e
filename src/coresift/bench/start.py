"""How long a command takes before it does anything: help, import, and the message of a wrong setting.

Each runs in a process of its own, in turns, after one run that is not counted: `seconds` is CPU time, user and system,
which other programs on the machine change little; `wall` is the median of what a user waits. With --against, the
checkout of another build runs the same in the same turns, and ratios are to it.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from coresift.bench.entry import positive
from coresift.bench.machine import commit_of
from coresift.bench.timing import Row, Table
from coresift.errors import SettingsError

SOURCE = Path(__file__).resolve().parents[2]
"""Where this build is."""
COMMANDS = {
    "coresift --help": ("-m", "coresift", "--help"),
    "import coresift": ("-c", "import coresift"),
    "an unknown setting": ("-m", "coresift", "run", "demo", "--set", "nonsense=1"),
    "an unknown setting of a method": ("-m", "coresift", "run", "demo", "--set", "method.alfa=1"),
}


def options(parser: argparse.ArgumentParser) -> None:
    """How often, and what to compare with."""
    parser.add_argument("--repeats", type=positive, default=5, help="of every command (default %(default)s)")
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="a checkout of the build to compare with")


def measure(asked: argparse.Namespace) -> Iterator[Table]:
    """One table per command."""
    builds = [*([] if asked.against is None else [checkout(asked.against)]), SOURCE]
    for name, arguments in COMMANDS.items():
        turns = [[_spent(source, arguments) for source in builds] for _ in range(asked.repeats + 1)][1:]
        yield Table(
            f"{name}: CPU seconds of a process",
            tuple(_row(name, source, runs) for source, runs in zip(builds, zip(*turns, strict=True), strict=True)),
        )


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU and wall seconds of one process."""

    cpu: float
    wall: float


def _row(name: str, source: Path, runs: Sequence[Spent]) -> Row:
    here = source == SOURCE
    label = name if here else f"{name}, build compared with"
    facts = {"wall": median(run.wall for run in runs), "commit": commit_of(source)}
    return Row(label, tuple(run.cpu for run in runs), facts)


def checkout(folder: Path) -> Path:
    """The folder of its sources. Raises SettingsError if there are none."""
    source = folder.expanduser().resolve() / "src"
    if not (source / "coresift" / "__init__.py").is_file():
        raise SettingsError(f"--against {folder}: no src/coresift there. Name a checkout (`git worktree add`).")
    return source


def _spent(source: Path, arguments: Sequence[str]) -> Spent:
    environment = {**os.environ, "PYTHONPATH": str(source)}
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    return Spent(used.ru_utime + used.ru_stime, wall)
