"""What nobody expected is one line that says how to report it; the traceback is in the file it names."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from coresift.cli.last_resort import told, traced_to
from coresift.errors import DiskError


def raising(error: BaseException) -> Any:
    def fail(*args: Any, **kwargs: Any) -> str:
        raise error

    return fail


@pytest.fixture
def unexpected(coresift, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Run a command in which an error is raised that nobody expects."""
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))

    def run(error: BaseException):
        monkeypatch.setattr("coresift.bench.entry.listing", raising(error))
        return coresift("bench")

    return run


def test_an_unexpected_error_is_one_line_and_a_file(unexpected, tmp_path: Path) -> None:
    answer = unexpected(ZeroDivisionError("a\x1b[31mb\nc"))
    assert answer.code == 2 and answer.err.count("\n") == 1 and "Traceback" not in answer.err
    assert answer.err.startswith(
        "error: unexpected ZeroDivisionError: a\\x1b[31mb. This is a fault of coresift. Report"
    )
    named = re.search(r"Report it with (\S+):", answer.err)
    assert named is not None
    text = Path(named[1]).read_text()
    assert Path(named[1]).parent == tmp_path
    assert "Traceback" in text and "ZeroDivisionError" in text and "command: " in text and "torch: " in text


def test_the_run_folder_takes_the_traceback_once_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "temporary"))
    for folder, place in ((tmp_path, tmp_path), (tmp_path / "never-made", tmp_path / "temporary")):
        (tmp_path / "temporary").mkdir(exist_ok=True)
        with pytest.raises(KeyError) as caught, traced_to(folder):
            raise KeyError("x")
        assert f"Report it with {place}/coresift-failure-" in told(caught.value)


def test_where_no_place_takes_a_file_the_traceback_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "nowhere"))
    assert "Report it with the traceback above" in told(ValueError(""))
    assert "ValueError" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "out of memory. Lower what the last line speaks of: extract.batch_tokens, train.micro_batch"),
        (DiskError("disk full at here"), "error: disk full at here"),
        (OSError(28, "No space left on device", "/there/a"), "disk full at /there/a: it needs more than that"),
        (
            PermissionError(13, "Permission denied", "/there/a"),
            "/there/a: Permission denied. Check the path and its perm",
        ),
        (FileNotFoundError(2, "No such file", "/there/a"), "/there/a: No such file. Check the path"),
    ],
)
def test_known_causes_have_their_own_sentence(unexpected, error: Exception, said: str, tmp_path: Path) -> None:
    answer = unexpected(error)
    assert answer.code == 2 and said in answer.err and list(tmp_path.iterdir()) == []


def test_a_terminal_that_knows_few_characters_is_no_error() -> None:
    program = "from coresift.cli import main; main._print_anything(); print('α → 文')"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "\\u03b1 \\u2192 \\u6587\n"
