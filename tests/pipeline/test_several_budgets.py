"""Budgets that end at the same number of picks: equal coresets are written once, different ones side by side."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coresift.coreset import Coreset
from coresift.pipeline.budgets import distinct, folders, in_words
from coresift.pipeline.recipes import resolve
from coresift.pipeline.runs import Run
from coresift.pipeline.stages import select


def coreset(*picks: int, budget: str, shortfall: str = "") -> Coreset:
    return Coreset(
        indices=np.array(picks),
        weights=np.ones(len(picks)),
        ids=tuple(map(str, picks)),
        diagnostics={"shortfall": shortfall} if shortfall else {},
        provenance={"budget": budget},
    )


def chosen(recipe: dict[str, Any], out: Path, budget: list[Any], **method: Any) -> tuple[list[str], list[str]]:
    """What was said, and the folders of coresets."""
    changes = {"method": method or {"name": "random"}, "budget": budget, "compare": {}, "train": None, "merge": False}
    said: list[str] = []
    select(Run(resolve({**recipe, **changes, "out": str(out)})), say=said.append)
    return said, sorted(str(path.parent.relative_to(out)) for path in out.rglob("coreset.npz"))


@pytest.mark.parametrize(
    ("budget", "written", "names"),
    [
        ([7, "20%"], ["."], "budgets 7, 0.2"),
        ([3, "3", 7], [".", "budgets/3"], "budgets 3, 3"),
        ([3, 7], [".", "budgets/3"], ""),
    ],
)
def test_equal_coresets_of_a_run_are_written_once_and_that_is_said(
    recipe: dict[str, Any], tmp_path: Path, budget: list[Any], written: list[str], names: str
) -> None:
    said, found = chosen(recipe, tmp_path / "run", budget)
    assert found == written
    notes = [line for line in said if "written once" in line]
    assert [line.startswith(names) for line in notes] == [True] * bool(names)
    assert Coreset.load(tmp_path / "run").provenance["budget"] in ("7", "0.2")


def test_a_shortfall_of_two_budgets_is_written_once_with_its_reason(recipe: dict[str, Any], tmp_path: Path) -> None:
    said, found = chosen(recipe, tmp_path / "run", [0.5, 0.6], name="gradmatch", dim=4, ridge=0.0)
    assert found == ["."] and any("budgets 0.5, 0.6 give the same" in line for line in said)
    assert "shortfall" in Coreset.load(tmp_path / "run").diagnostics
    assert Coreset.load(tmp_path / "run").provenance["same_budgets"] == ["0.5"]


def test_of_equal_ones_the_one_that_fell_short_is_kept() -> None:
    full, short = coreset(4, 2, budget="2"), coreset(4, 2, budget="9", shortfall="nothing left")
    (kept,) = distinct([short, full])
    assert kept.diagnostics["shortfall"] == "nothing left" and kept.provenance["same_budgets"] == ["2"]
    assert in_words([kept]) == ["budgets 2, 9 give the same 2 examples, which are written once"]


def test_three_budgets_of_one_answer_are_all_named() -> None:
    (kept,) = distinct([coreset(1, budget=name) for name in ("1", "0.1", "1%")])
    assert kept.provenance["same_budgets"] == ["1", "0.1"] and kept.provenance["budget"] == "1%"


def test_different_picks_of_one_number_lie_side_by_side() -> None:
    found = distinct(
        [coreset(1, 2, budget="2"), coreset(1, 3, budget="5"), coreset(2, 3, budget="6"), coreset(0, budget="1")]
    )
    assert [each.provenance["budget"] for each in found] == ["1", "2", "5", "6"]
    assert folders(found) == ["budgets/1", "budgets/2", "budgets/2-2", "."] and in_words(found) == []
