"""The command line, run in this process."""

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
def coresift(capsys: pytest.CaptureFixture[str]):
    """Run `coresift ARGUMENTS`."""

    def call(*arguments: str) -> Answer:
        code = run_command([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return call
