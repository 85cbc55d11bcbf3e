"""Methods other than BRIEF through the pipeline: features are extracted, facts reach the files and the page."""

import csv
import html
import re
from pathlib import Path
from typing import Any

from coresift.coreset import Coreset
from coresift.pipeline.recipes import resolve
from coresift.pipeline.reporting import report
from coresift.pipeline.runs import Run
from coresift.pipeline.stages import select


def chosen_by(recipe: dict[str, Any], out: Path, method: dict[str, Any], budget: Any) -> tuple[Coreset, list[str], str]:
    """The coreset, what was said, and the page."""
    changes = {"method": {"dim": 64, **method}, "budget": budget, "train": None, "evaluate": {}, "merge": False}
    run = Run(resolve({**recipe, **changes, "compare": {"base": False}, "out": str(out)}))
    said: list[str] = []
    select(run, say=said.append)
    return Coreset.load(out), said, report(run, say=said.append).read_text()


def test_mint_leaves_its_trials_and_says_how_alpha_was_found(recipe: dict[str, Any], tmp_path: Path) -> None:
    coreset, _, page = chosen_by(recipe, tmp_path / "run", {"name": "mint"}, [3, 0.3])
    with (tmp_path / "run" / "alpha_search.csv").open() as handle:
        lines = list(csv.DictReader(handle))
    assert len(lines) == 174 and set(lines[0]) == {"alpha", "B_KN", "B_IF", "total", "chosen"}
    assert [float(line["alpha"]) for line in lines if line["chosen"] == "1"] == [coreset.diagnostics["alpha"]]
    assert "where the following error levels off" in page and "smallest sum of both errors" not in page
    assert len(Coreset.load(tmp_path / "run" / "budgets" / "3")) == 3
    assert (tmp_path / "run" / "report" / "plateau.png").exists()
    assert (tmp_path / "run" / "report" / "pareto.png").exists()


def test_mint_writes_the_two_error_curves_of_its_pilot_and_nobody_else_does(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    coreset, _, _ = chosen_by(recipe, tmp_path / "run", {"name": "mint"}, 0.3)
    lines = (tmp_path / "run" / "errors.csv").read_text().splitlines()
    assert lines[0] == "alpha,B_KN,B_IF"
    written = [tuple(map(float, line.split(","))) for line in lines[1:]]
    assert len(written) == 174
    assert written == [(trial["alpha"], trial["B_KN"], trial["B_IF"]) for trial in coreset.diagnostics["trials"]]
    chosen_by(recipe, tmp_path / "fixed", {"name": "mint", "alpha": 0.5}, 0.3)
    chosen_by(recipe, tmp_path / "brief", {"name": "brief"}, 0.3)
    assert not (tmp_path / "fixed" / "errors.csv").exists() and not (tmp_path / "brief" / "errors.csv").exists()


def test_a_shortfall_is_said_on_the_terminal_in_the_file_and_on_the_page(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    method = {"name": "gradmatch", "dim": 4, "ridge": 0.0}
    coreset, said, page = chosen_by(recipe, tmp_path / "run", method, 0.5)
    why = coreset.diagnostics["shortfall"]
    assert len(coreset) < 17 and f"fewer than asked for: {why}" in said and why in page


def test_three_losses_can_be_asked_for(recipe: dict[str, Any], tmp_path: Path) -> None:
    method = {"name": "mint", "coefficients": [1, 1, 1]}
    coreset, _, page = chosen_by(recipe, tmp_path / "run", method, 5)
    assert len(coreset) == 5 and "searches no α" in page
    assert {path.name.split("-")[0] for path in (tmp_path / "run" / "features").iterdir()} == {
        *("knowledge", "following", "response")
    }


def in_one_line(page: str) -> str:
    """The text of a page, without its markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_the_certificate_of_craig_is_one_sentence_in_the_file_on_the_terminal_and_on_the_page(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    coreset, said, page = chosen_by(recipe, tmp_path / "run", {"name": "craig"}, 5)
    sentence = coreset.diagnostics["certificate"]["says"]
    assert sentence.startswith("No subset of 5 examples ")
    assert f"certificate: {sentence}" in said and sentence in in_one_line(page)
    assert "between response gradients, summed over the pool" in in_one_line(page) and "the α used" not in page


def test_a_precision_finer_than_the_pool_resolves_is_said_in_the_file_on_the_terminal_and_on_the_page(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    """All examples are picked, so every alpha is as good."""
    coreset, said, page = chosen_by(recipe, tmp_path / "run", {"name": "brief"}, 1.0)
    sentence = coreset.diagnostics["search"]["says"]
    assert "a precision of 0.005 is finer than the pool resolves" in sentence
    assert f"search: {sentence}" in said and sentence in in_one_line(page)
    coarse, said, page = chosen_by(recipe, tmp_path / "coarse", {"name": "brief", "precision": 0.7}, 1.0)
    assert "says" not in coarse.diagnostics["search"]
    assert not any("finer than the pool resolves" in text for text in (*said, page))


def test_how_distances_are_held_is_said_before_the_work_is_done(recipe: dict[str, Any], tmp_path: Path) -> None:
    coreset, said, _ = chosen_by(recipe, tmp_path / "run", {"name": "craig"}, 5)
    places = [said.index(f"distances: {coreset.diagnostics['distances']['reason']}")]
    places += [place for place, line in enumerate(said) if line.startswith("selection: ")]
    assert len(places) == 2 and places == sorted(places)
