"""Processes are started unasked by our own command alone: a script would be run again by each."""

import subprocess
import sys
from pathlib import Path

import pytest

from coresift.execution.processes import cores

ASKING = "from coresift.execution.processes import may_spawn; print(may_spawn())"


@pytest.mark.parametrize(("name", "safe"), [("coresift", True), ("my_script.py", False)])
def test_only_the_command_may_start_processes_and_no_script(name: str, safe: bool, tmp_path: Path) -> None:
    (tmp_path / name).write_text(ASKING)
    assert answer(str(tmp_path / name)) == str(safe)


def test_an_interactive_session_may_start_processes_for_there_is_no_script_to_run_again() -> None:
    assert answer("-c", ASKING) == "True"


def test_there_is_a_core() -> None:
    assert cores() >= 1


def answer(*arguments: str) -> str:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True).stdout.strip()
