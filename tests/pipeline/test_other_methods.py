"""Methods other than BRIEF through the pipeline: features are extracted, facts reach the files and the page."""

import csv
import html
import re
from pathlib import Path
from typing import Any

import pytest

from coresift.coreset import Coreset
from coresift.pipeline.recipes import resolve
from coresift.pipeline.reporting import report
from coresift.pipeline.runs import Run
from coresift.pipeline.stages import select
from coresift.units import number, percent

SPACES = {"knowledge": "KN", "following": "IF", "response": "SFT"}


def chosen_by(recipe: dict[str, Any], out: Path, method: dict[str, Any], budget: Any) -> tuple[Coreset, list[str], str]:
    """The coreset, what was said, and the page."""
    changes = {"method": {"dim": 64, **method}, "budget": budget, "train": None, "evaluate": {}, "merge": False}
    run = Run(resolve({**recipe, **changes, "compare": {"base": False}, "out": str(out)}))
    said: list[str] = []
    select(run, say=said.append)
    return Coreset.load(out), said, report(run, say=said.append).read_text()


def in_one_line(page: str) -> str:
    """The text of a page, without its markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def shown(value: Any) -> str:
    """A number as the page prints it."""
    return number(value)


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
    said, facts = in_one_line(page), coreset.diagnostics
    assert len(coreset) == 5 and "searches no α" not in said
    assert "Coefficients of the distances were given (1 × response, 1 × knowledge, 1 × following)" in said
    errors = [f"{space} {shown(facts[f'e_{key}'])} {shown(facts[f'B_{key}'])}" for space, key in SPACES.items()]
    assert all(row in said for row in errors) and "their sum" not in said
    assert {path.name.split("-")[0] for path in (tmp_path / "run" / "features").iterdir()} == {
        *("knowledge", "following", "response")
    }


def test_the_certificate_of_craig_is_one_sentence_in_the_file_on_the_terminal_and_on_the_page(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    coreset, said, page = chosen_by(recipe, tmp_path / "run", {"name": "craig"}, 5)
    sentence = coreset.diagnostics["certificate"]["says"]
    assert sentence.startswith("No subset of 5 examples ")
    assert f"certificate: {sentence}" in said and sentence in in_one_line(page)
    assert "between response gradients, summed over the candidates" in in_one_line(page) and "the α used" not in page


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


@pytest.mark.parametrize("loss", ["knowledge", "response"])
def test_craig_shows_the_error_and_both_sums_of_the_loss_it_covered(
    loss: str, recipe: dict[str, Any], tmp_path: Path
) -> None:
    coreset, _, page = chosen_by(recipe, tmp_path / "run", {"name": "craig", "loss": loss}, 5)
    said, facts = in_one_line(page), coreset.diagnostics
    error, bound, cover = (facts[key] for key in ("e_SFT", "A_SFT", "B_SFT"))
    assert f"{loss} {shown(error)} {shown(bound)} {percent(error / bound)} {shown(cover)}" in said
    assert "It is at most A" in said and "B is A" in said and "their sum" not in said
    assert "sit in the gradient space" in said and f"{loss} gradients" in said


@pytest.mark.parametrize("name", ["craig", "gradmatch", "tagcos", "kcenter"])
def test_a_space_that_was_looked_at_is_drawn(name: str, recipe: dict[str, Any], tmp_path: Path) -> None:
    _, _, page = chosen_by(recipe, tmp_path / "run", {"name": name}, 5)
    said = in_one_line(page)
    assert "response gradients" in said and (tmp_path / "run" / "report" / "spaces.png").exists()
    assert "no projected gradient spaces" not in said and "uses no gradient spaces" not in said


def test_gradmatch_says_what_its_weights_are_and_claims_no_bound(recipe: dict[str, Any], tmp_path: Path) -> None:
    coreset, _, page = chosen_by(recipe, tmp_path / "run", {"name": "gradmatch"}, 5)
    said = in_one_line(page)
    assert "The weights were fitted" in said and "it stands for" not in said
    assert f"response {shown(coreset.diagnostics['e_SFT'])} All errors suppose the weights" in said
    assert "GRAD-MATCH gives no bound on it." in said and "at most A" not in said and "bound A" not in said


def test_an_epsilon_that_is_not_met_is_said_in_the_file_and_on_the_page(recipe: dict[str, Any], tmp_path: Path) -> None:
    coreset, _, page = chosen_by(recipe, tmp_path / "run", {"name": "craig", "epsilon": 0.001}, 3)
    sentence = coreset.diagnostics["cover"]["says"]
    assert sentence.startswith("An ε of 0.001 is not met: with 3 picks the covering error is ")
    assert sentence in in_one_line(page)


def test_a_part_of_the_pool_is_not_called_all_of_it(recipe: dict[str, Any], tmp_path: Path) -> None:
    part = {**recipe, "pool": {**recipe["pool"], "examples": 12}}
    coreset, _, page = chosen_by(part, tmp_path / "run", {"name": "craig"}, 5)
    said, n = in_one_line(page), len(Path(recipe["pool"]["path"]).read_text().splitlines())
    assert coreset.weights.sum() == 12 < n
    assert f"CRAIG chose 5 of 12 candidates (of {n} in the pool)" in said
    assert "The gradient of all 12 candidates against" in said and "the whole pool" not in said
    assert f"“Pool” is all {n} examples, of which 12 could be chosen." in said
