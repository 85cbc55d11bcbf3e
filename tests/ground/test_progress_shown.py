"""Progress is silent while short, a bar on a terminal, and a line now and then elsewhere."""

import io
import sys

import pytest

from coresift import progress
from coresift.progress import Progress, track


class Clock:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


def test_items_pass_unchanged_and_in_order() -> None:
    assert list(track(iter("abc"), "letters", total=3)) == ["a", "b", "c"]


def test_short_work_is_silent(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in track(range(10), "quick", total=10):
        clock.now += 0.1
    assert capsys.readouterr() == ("", "")


def test_long_work_tells_where_it_is_and_what_is_left(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("reading", 100, unit="records") as shown:
        for _ in range(50):
            clock.now += 1
            shown.advance()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "reading: 15/100 records, about 85 s left",
        "reading: 30/100 records, about 70 s left",
        "reading: 45/100 records, about 55 s left",
    ]


def test_steps_can_be_larger_than_one(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("reading", 100) as shown:
        clock.now += 20
        shown.advance(40)
    assert shown.done == 40
    assert "40/100" in capsys.readouterr().err


def test_what_a_killed_run_did_says_nothing_about_the_time_left(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress("passes", 1000, begun=900) as shown:
        clock.now += 20
        shown.advance(10)
    assert capsys.readouterr().err == "passes: 910/1000 , about 180 s left\n"


def test_a_terminal_gets_a_bar_that_is_cleared(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with Progress("reading", 10) as shown:
        clock.now += 3
        shown.advance(4)
        assert shown._bar is not None
    assert "reading" in terminal.getvalue()
    assert "4/10" in terminal.getvalue()


def test_an_error_inside_passes_through(clock: Clock) -> None:
    with pytest.raises(ValueError, match="inside"), Progress("reading", 10):
        raise ValueError("inside")
