"""`coresift bench selection --table`: a process per size, a law that is honest about what was not measured."""

import csv
import json
from pathlib import Path

import pytest

from coresift.bench import growth
from coresift.bench.growth_figure import growth_figure


def test_every_size_is_measured_in_a_process_of_its_own_and_written_down(bench, tmp_path: Path) -> None:
    files = {name: tmp_path / f"found.{name}" for name in ("json", "csv")}
    arguments = [part for name, path in files.items() for part in (f"--{name}", path)]
    figure = ("--figure", tmp_path / "growth.png", "--extrapolate", "400")
    answer = bench("selection", "--dim", 8, "--table", "80,40", *figure, *arguments)
    assert answer.code == 0, answer.err
    (table,) = json.loads(files["json"].read_text())["tables"]
    assert [(row["n"], row["kind"]) for row in table["rows"]] == [
        (40, "measured"),
        (80, "measured"),
        (400, "extrapolated"),
    ]
    lines = list(csv.DictReader(files["csv"].open()))
    assert [(line["n"], line["picks"], line["kind"]) for line in lines] == [
        ("40", "2", "measured"),
        ("80", "4", "measured"),
        ("400", "", "extrapolated"),
    ]
    assert all(float(line["peak_GiB"]) > 0 and float(line["seconds"]) > 0 for line in lines)
    assert "n = 400, extrapolated" in answer.out and "fitted: seconds = " in answer.out
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def run_of(n: int) -> dict[str, object]:
    seconds = 1.0 + 1e-4 * n**2
    return {"seconds": [seconds, seconds], "peak_GiB": 0.5, "GiB_before": 0.4, "picks": 1, "alphas": 2, "gap": 0.1}


def test_a_size_that_does_not_fit_is_a_note_and_the_others_stand(bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed:
        returncode = -9

    whole = growth._whole_selection
    monkeypatch.setattr(growth.subprocess, "run", lambda *_, **__: Killed())
    monkeypatch.setattr(growth, "_whole_selection", lambda n, asked: run_of(n) if n < 100 else whole(n, asked))
    answer = bench("selection", "--table", "10,50,100", "--repeats", 2)
    assert answer.code == 0, answer.err
    assert "n 100: not measured, exit code -9 (killed, most likely for want of memory)" in answer.out
    assert "n = 50" in answer.out and "n = 100" not in answer.out


def test_no_size_at_all_is_an_error(bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "_whole_selection", lambda n, asked: f"n {n}: not measured, exit code 1 (a reason)")
    answer = bench("selection", "--table", "5,9")
    assert answer.code == 2
    assert "--table: no size could be measured. n 5: not measured, exit code 1 (a reason)." in answer.err


@pytest.mark.parametrize(
    ("values", "law"),
    [
        ([3.0 + 2.0 * n**2 for n in (1, 2, 5)], (3.0, 2.0)),
        ([4.0, 4.0, 4.0], (4.0, 0.0)),
        ([1.0 * n**2 for n in (1, 2, 5)], (0.0, 1.0)),
    ],
)
def test_the_law_is_found_where_it_holds(values: list[float], law: tuple[float, float]) -> None:
    assert growth.fit([1, 2, 5], values) == pytest.approx(law, abs=1e-9)


def test_the_law_never_falls_and_never_starts_below_zero() -> None:
    base, factor = growth.fit([1, 2, 5], [3.0, 2.9, 2.5])
    assert factor == 0.0 and 2.5 < base < 3.0
    base, factor = growth.fit([1, 2, 5], [0.5, 3.5, 40.0])
    assert base == 0.0 and factor > 0.0
    assert growth.fit([10], [5.0]) == (0.0, pytest.approx(0.05))


def test_what_was_not_measured_is_hollow_and_says_so() -> None:
    measured = [{"n": n, "seconds": float(n), "peak_GiB": 1.0} for n in (100, 200)]
    guessed = [{"n": 1000, "seconds": 50.0, "peak_GiB": 9.0}]
    laws = {"seconds": (1.0, 1e-3), "peak_GiB": (1.0, 1e-5)}
    figure = growth_figure(measured, guessed, laws, growth.MEASURED)
    for axis in figure.axes:
        faces = {line.get_label(): line.get_markerfacecolor() for line in axis.lines}
        assert faces["extrapolated by the fitted law"] == "none" and faces["measured"] != "none"
        assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
