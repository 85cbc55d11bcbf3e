"""`coresift bench selection --table`: a whole BRIEF selection per size, each in a fresh process; a law of growth."""

import argparse
import csv
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from coresift.bench.entry import output, positive
from coresift.bench.timing import Row, Table
from coresift.errors import SettingsError
from coresift.files import write_bytes, write_text

MEASURED = {"seconds": "seconds", "peak_GiB": "peak memory, GiB"}
"""What grows: name of the value, and of its axis."""
FIELDS = ("n", "kind", "way", "bits", "seconds", "peak_GiB", "GiB_before", "picks", "alphas", "alpha", "gap")


def options(parser: argparse.ArgumentParser) -> None:
    """Sizes and files."""
    parser.add_argument("--table", type=sizes, metavar="N,N,...", help="a whole BRIEF selection per n")
    parser.add_argument(
        "--extrapolate", type=sizes, metavar="N,N,...", help="with --table: also by the fitted law, not measured"
    )
    parser.add_argument("--memory", default="auto", help="with --table: memory beyond the features (default auto)")
    parser.add_argument("--csv", type=output, metavar="FILE", help="with --table: the rows as CSV")
    parser.add_argument("--figure", type=_png, metavar="FILE", help="with --table: time and memory against n, PNG")


def sizes(text: str) -> list[int]:
    """`1000,2000` -> [1000, 2000]: whole numbers above 0, in rising order, each once."""
    return sorted({positive(part.strip()) for part in text.split(",")})


def measure(asked: argparse.Namespace) -> Iterator[Table]:
    """Measure every size, then say what the law gives; files are written last.

    Raises:
        SettingsError: If no size could be measured.
    """
    points, notes = [], []
    for n in asked.table:
        runs = [_whole_selection(n, asked) for _ in range(asked.repeats or 1)]
        good = [run for run in runs if isinstance(run, dict)]
        if len(good) < len(runs):
            notes.append(next(run for run in runs if isinstance(run, str)))
        else:
            points.append(_merged(n, good))
            print(f"  n {n}: {points[-1]['seconds']:.3g} s, peak {points[-1]['peak_GiB']:.3g} GiB", flush=True)
    if len(points) == 0:
        raise SettingsError(f"--table: no size could be measured. {notes[0]}.")
    laws = {name: fit([p["n"] for p in points], [p[name] for p in points]) for name in MEASURED}
    guessed = [_guess(n, laws) for n in asked.extrapolate or ()]
    yield Table(
        _title(asked), tuple(_row(point) for point in [*points, *guessed]), (*notes, *_said(laws)), named=("n", "kind")
    )
    if asked.csv is not None:
        write_text(asked.csv, as_csv([*points, *guessed]))
        print(f"rows: {asked.csv}")
    if asked.figure is not None:
        _draw(asked.figure, points, guessed, laws)
        print(f"figure: {asked.figure}")


def fit(ns: list[int], values: list[float]) -> tuple[float, float]:
    """Base and factor of `base + factor * n^2`, least squares of relative errors, neither of them negative.

    The base is what does not grow: the interpreter and torch. With one size alone the base is 0.
    """
    terms = np.stack([np.ones(len(ns)), np.array(ns, dtype=float) ** 2], axis=1) / np.array(values)[:, None]
    if len(ns) > 1:
        base, factor = np.linalg.lstsq(terms, np.ones(len(ns)), rcond=None)[0]
        if min(base, factor) >= 0.0:
            return float(base), float(factor)
        if factor < 0.0:
            return _alone(terms[:, 0]), 0.0
    return 0.0, _alone(terms[:, 1])


def _alone(term: np.ndarray) -> float:
    """The least-squares factor of one term that is to be 1."""
    return float(term.sum() / (term**2).sum())


def as_csv(points: list[dict[str, Any]]) -> str:
    """One line per size; `kind` is measured or extrapolated."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(points)
    return text.getvalue()


def _whole_selection(n: int, asked: argparse.Namespace) -> dict[str, Any] | str:
    """One child process; its figures, or why there are none. What it says on the way goes to standard error."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "figures.json"
        shared = ("dim", "norms", "seed", "device", "memory")
        given = [part for name in shared for part in (f"--{name}", str(getattr(asked, name)))]
        command = [sys.executable, "-m", "coresift", "bench", "memory", "--n", str(n), *given, "--json", str(kept)]
        code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
        if code != 0:
            why = "killed, most likely for want of memory" if code == -9 else "its message is above"
            return f"n {n}: not measured, exit code {code} ({why})"
        row = json.loads(kept.read_text(encoding="utf-8"))["tables"][0]["rows"][0]
    return dict(row)


def _merged(n: int, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Repeats of one size: the median of the seconds, the highest peak, the facts of the last."""
    every = tuple(second for run in runs for second in run["seconds"])
    peak = max(run["peak_GiB"] for run in runs)
    last = {key: value for key, value in runs[-1].items() if key not in ("name", "median", "ratio")}
    found = {"n": n, "kind": "measured", **last, "peak_GiB": peak}
    return {**found, "seconds": float(np.median(every)), "repeats": every}


def _guess(n: int, laws: dict[str, tuple[float, float]]) -> dict[str, Any]:
    values = {name: base + factor * n**2 for name, (base, factor) in laws.items()}
    return {"n": n, "kind": "extrapolated", **values, "repeats": (values["seconds"],)}


def _row(point: dict[str, Any]) -> Row:
    facts = {key: point[key] for key in FIELDS if key in point and key != "seconds"}
    mark = "" if point["kind"] == "measured" else ", extrapolated"
    return Row(f"n = {point['n']:,}{mark}", point["repeats"], facts)


def _title(asked: argparse.Namespace) -> str:
    return f"whole BRIEF selection, a process each: d {asked.dim}, {asked.norms} norms, 5 % picked"


def _said(laws: dict[str, tuple[float, float]]) -> tuple[str, ...]:
    return tuple(f"fitted: {name} = {base:.3g} + {factor:.3g} n^2" for name, (base, factor) in laws.items())


def _png(text: str) -> Path:
    if not text.endswith(".png"):
        raise argparse.ArgumentTypeError(f"{text} does not end in .png, and the figure is a PNG")
    return output(text)


def _draw(
    path: Path, points: list[dict[str, Any]], guessed: list[dict[str, Any]], laws: dict[str, tuple[float, float]]
) -> None:
    from coresift.bench.growth_figure import growth_figure
    from coresift.report.theme import png

    image = png(growth_figure(points, guessed, laws, MEASURED))
    write_bytes(path, image)
