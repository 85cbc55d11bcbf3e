"""The command line, run in this process, on one quick product instead of many."""

from dataclasses import dataclass

import pytest

from coresift.cli.main import run_command


@dataclass(frozen=True)
class Answer:
    """What a command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Run `coresift bench ARGUMENTS`."""
    monkeypatch.setattr("coresift.bench.machine.LONG_ENOUGH", 1e-6)

    def call(*arguments: object) -> Answer:
        code = run_command(["bench", *map(str, arguments)])
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return call
