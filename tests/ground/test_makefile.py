"""`make` takes the newest Python it can use, and passes over those that are there in name only."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MAKE = shutil.which("make")
ROOT = Path(__file__).parents[2]
WORKS, FAILS = f'exec "{sys.executable}" "$@"', "echo pyenv: no such version >&2; exit 127"
TOO_OLD = 'case "$1" in -c) exit 1;; esac'

pytestmark = pytest.mark.skipif(MAKE is None, reason="needs make")


def asked(folder: Path, **pythons: str) -> "subprocess.CompletedProcess[str]":
    """What `make` would run to install, where only these interpreters are on the path: the first line, or its error."""
    for name, script in pythons.items():
        path = folder / name.replace("_", ".")
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    environment = {**os.environ, "PATH": str(folder)}
    environment.pop("PYTHON", None)
    command = [str(MAKE), "-C", str(ROOT), "-n", "-B", ".venv/.installed"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("pythons", "taken"),
    [
        ({"python3_11": WORKS, "python3_12": WORKS, "python3_13": WORKS}, "python3.13"),
        ({"python3_11": WORKS, "python3_12": WORKS, "python3_13": FAILS}, "python3.12"),
        ({"python3_11": WORKS, "python3": WORKS}, "python3.11"),
        ({"python3_12": FAILS, "python3": WORKS}, "python3"),
    ],
)
def test_the_newest_python_that_runs_is_taken(tmp_path: Path, pythons: dict[str, str], taken: str) -> None:
    done = asked(tmp_path, **pythons)
    assert f"{taken} -m venv .venv" in done.stdout.splitlines()
    assert done.stderr == ""


def test_without_a_usable_python_it_says_what_to_install(tmp_path: Path) -> None:
    done = asked(tmp_path, python3=TOO_OLD, python3_13=FAILS)
    assert done.returncode == 2 and "no Python from 3.11 to 3.13 here. Install one, or name it" in done.stderr
