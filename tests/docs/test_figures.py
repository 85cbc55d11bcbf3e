"""Figures of the docs that name a file of benchmarks/figures say what it says, and the files are whole."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("benchmark_figures", ROOT / "benchmarks" / "figures.py")
assert SPEC is not None and SPEC.loader is not None
figures = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(figures)

KEPT = {
    "tables": [
        {"rows": [{"name": "old", "median": 2.311, "ratio": 1.0}, {"name": "new", "median": 0.2135, "ratio": 0.0923}]},
        {"rows": [{"name": "old", "median": 12345.6, "method": "brief"}]},
    ]
}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    (tmp_path / "start.json").write_text(json.dumps(KEPT))
    return tmp_path


def test_every_marked_figure_of_the_docs_is_what_its_file_holds() -> None:
    assert [*figures.checked()] == []


@pytest.mark.parametrize("path", sorted(figures.FIGURES.glob("*.json")), ids=lambda path: path.name)
def test_a_file_of_figures_says_what_ran_where_and_every_repeat(path: Path) -> None:
    found = json.loads(path.read_text())
    assert {"bench", "arguments", "version", "commit", "machine", "tables"} <= set(found)
    assert all(row["seconds"] for table in found["tables"] for row in table["rows"])
    assert found["commit"] and not found["commit"].endswith("-dirty")
    assert not any(str(value).startswith("/") for value in found["arguments"].values())


@pytest.mark.parametrize(
    "line",
    [
        "takes 2.31<!-- figure: start.json#1#old#median --> s",
        "0.21<!-- figure: start.json#new#median --> of it, or 9<!-- figure: start.json#new#ratio --> %",
        "in all 12,346<!-- figure: start.json#2#old#median --> s",
        "12345.6<!-- figure: start.json#2#old#median --> and 7 unmarked",
    ],
)
def test_a_figure_is_the_files_to_as_many_digits_as_it_shows(kept: Path, line: str) -> None:
    assert figures.mended(line, kept) == (line, [])


def test_a_figure_that_is_not_the_files_is_named_and_mended(kept: Path) -> None:
    text, faults = figures.mended("0.35<!-- figure: start.json#new#median --> s", kept)
    assert text == "0.21<!-- figure: start.json#new#median --> s"
    assert faults == ["start.json#new#median: the page says 0.35, the file 0.21"]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("1<!-- figure: none.json#new#median -->", "No such file"),
        ("1<!-- figure: start.json#newer#median -->", "0 rows are called 'newer'"),
        ("1<!-- figure: start.json#old#median -->", "2 rows are called 'old'"),
        ("1<!-- figure: start.json#new#mean -->", "'mean' of 'new' is None, not a number"),
        ("1<!-- figure: start.json#2#old#method -->", "'method' of 'old' is 'brief', not a number"),
        ("about<!-- figure: start.json#new#median -->", "no figure stands before it"),
    ],
)
def test_a_mark_that_leads_nowhere_is_a_fault(kept: Path, line: str, fault: str) -> None:
    text, faults = figures.mended(line, kept)
    assert text == line and len(faults) == 1 and fault in faults[0]
