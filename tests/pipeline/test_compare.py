"""A comparison shares what its cells depend on, goes on with what is done, and says what it cannot tell apart."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from coresift.errors import RunError, SettingsError
from coresift.execution.processes import ProcessExecutor
from coresift.pipeline.comparison import Comparison
from coresift.pipeline.grid import cells, variants
from coresift.pipeline.grid_settings import Grid
from coresift.pipeline.recipes import resolve
from coresift.pipeline.runs import Run
from coresift.pipeline.side_by_side import side_by_side
from coresift.pipeline.whole import execute
from coresift.report.comparison_tables import markdown

BRIEF = {"name": "brief", "dim": 32, "preconditioner": "none"}


def quiet(line: str) -> None:
    """Say nothing."""


def compared(recipe: dict[str, Any], folder: Path, **grid: Any) -> Comparison:
    train = {**recipe["train"], "weighting": "none"}
    settings = {"methods": ["brief"], "budgets": [5], "draws": 2, "controls": ["random"], "equal_cost": False, **grid}
    values = {**recipe, "method": BRIEF, "budget": 5, "compare": {}, "merge": False, "train": train, "grid": settings}
    return Comparison(resolve({**values, "evaluate": {}}), folder)


def made(folder: Path) -> Counter[str]:
    return Counter(path.parent.name.rpartition("-")[0] for path in (folder.parent / ".store").glob("*-*/whole.json"))


@pytest.fixture(scope="module")
def finished_run(recipe: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run of the recipe, with random subsets beside it."""
    run = Run(resolve({**recipe, "budget": 10, "merge": False, "out": str(tmp_path_factory.mktemp("runs") / "small")}))
    execute(run, say=quiet)
    return run


@pytest.fixture(scope="module")
def finished(recipe: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("compare") / "it"
    comparison = compared(recipe, folder, methods=["brief", "craig", {"name": "brief", "unit_norm": True}])
    return comparison, comparison.execute(say=quiet)


def test_a_draw_has_one_warm_up_and_one_pass_for_all_methods(finished: tuple[Comparison, dict[str, Any]]) -> None:
    there = made(finished[0].folder)
    # three losses in one pass over the pool, for each of two draws; random's third draw looks at none
    assert there["gradients"] == 2 * 3
    # a warm-up of each of two draws, and the trainings of 3 methods x 2 draws and 3 draws of random
    assert there["training"] == 2 + 3 * 2 + 3


def test_a_method_pays_for_what_it_uses_whoever_computed_it(finished: tuple[Comparison, dict[str, Any]]) -> None:
    tokens = {cell["label"]: cell["selection"]["tokens"] for cell in finished[1]["cells"] if cell["draw"] == 0}
    assert tokens["brief"] == tokens["brief (unit_norm True)"] > tokens["craig"] > tokens["random"] == 0


def test_every_variant_stands_beside_random_on_the_same_items(finished: tuple[Comparison, dict[str, Any]]) -> None:
    table = finished[1]["tables"][0]
    assert [row["label"] for row in table["rows"]] == [
        *("random", "brief", "craig", "brief (unit_norm True)", "none (base model)"),
    ]
    assert table["items"] == 6 and [row["draws"] for row in table["rows"]] == [3, 2, 2, 2, 1]
    assert all(row["verdict"] for row in table["rows"][1:])
    assert table["summary"].startswith("loss on the test, budget 5: ") and "6 test items" in table["summary"]


def test_done_cells_are_found_and_another_method_costs_its_own_work(
    finished: tuple[Comparison, dict[str, Any]], recipe: dict[str, Any]
) -> None:
    comparison, found = finished
    before = made(comparison.folder)
    assert comparison.execute(say=quiet)["tables"] == found["tables"] and made(comparison.folder) == before
    methods = [*comparison.grid.methods, {"name": "tagcos", "dim": 32}]
    compared(recipe, comparison.folder, methods=methods).execute(say=quiet)
    new = made(comparison.folder) - before
    assert set(new) <= {"selection", "training", "scores"} and new["selection"] == 2


def test_two_processes_find_what_one_finds(
    finished: tuple[Comparison, dict[str, Any]], recipe: dict[str, Any], tmp_path: Path
) -> None:
    comparison = compared(recipe, tmp_path / "it", methods=finished[0].grid.methods)
    found = comparison.execute(ProcessExecutor(2), say=quiet)

    def timeless(table: dict[str, Any]) -> dict[str, Any]:
        rows = [{key: value for key, value in row.items() if "seconds" not in key} for row in table["rows"]]
        return {**table, "rows": rows}

    assert list(map(timeless, found["tables"])) == list(map(timeless, finished[1]["tables"]))


def test_a_failed_cell_is_shown_and_the_others_go_on(recipe: dict[str, Any], tmp_path: Path) -> None:
    said: list[str] = []
    comparison = compared(recipe, tmp_path / "it", methods=["kcenter", "deft-ucs"], draws=1)
    found = comparison.execute(say=said.append)
    assert {each["label"] for each in found["failed"]} == {"deft-ucs"}
    assert any(line.startswith("failed: deft-ucs, budget 5, draw 0: ") for line in said)
    assert "kcenter" in {row["label"] for row in found["tables"][0]["rows"]}
    assert "- failed: deft-ucs" in markdown(found)


def test_files_hold_a_row_per_cell_test_and_metric(finished: tuple[Comparison, dict[str, Any]]) -> None:
    folder, found = finished[0].folder, finished[0].execute(say=quiet)
    table = pq.read_table(folder / "compare.parquet").to_pylist()
    losses = [row for row in table if row["metric"] == "loss response"]
    assert {(row["label"], row["draw"]) for row in losses} >= {("brief", 0), ("brief", 1), ("random", 2)}
    assert all(row["training_tokens"] > 0 for row in losses)
    assert json.loads((folder / "compare.json").read_text())["tables"] == found["tables"]


def test_controls_of_equal_steps_and_cost_train_as_they_say(recipe: dict[str, Any], tmp_path: Path) -> None:
    controls = ["random", "full", "random-per-epoch", "length-matched"]
    found = compared(recipe, tmp_path / "it", draws=1, controls=controls, equal_cost=True).execute(say=quiet)
    rows = {row["label"]: row for row in found["tables"][0]["rows"]}
    assert rows["full"]["examples"] == rows["full, equal steps"]["examples"] == 34
    assert rows["full, equal steps"]["steps"] == rows["random"]["steps"] < rows["full"]["steps"]
    assert rows["random-per-epoch"]["examples"] == 5 and rows["none (base model)"]["steps"] == 0
    matched = [cell for cell in found["cells"] if cell["label"] == "random, lengths of brief"]
    assert [cell["draw"] for cell in matched] == [0] and matched[0]["examples"] == 5
    dearer = rows["random, equal cost (5)"]
    assert dearer["examples"] > 5 and dearer["flops"] <= 1.3 * rows["brief"]["flops"]


def test_training_seeds_are_averaged_inside_a_draw(recipe: dict[str, Any], tmp_path: Path) -> None:
    found = compared(recipe, tmp_path / "it", methods=[], draws=3, training_seeds=2).execute(say=quiet)
    row = found["tables"][0]["rows"][0]
    assert row["label"] == "random" and row["draws"] == 3 and len(found["cells"]) == 6


def test_a_grid_that_is_none_is_refused(recipe: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="grid.controls holds 'coin'. Known controls: random"):
        Grid(controls=["coin"])
    base = compared(recipe, tmp_path / "it").resolved.recipe
    with pytest.raises(SettingsError, match="two methods are called 'brief'. Give one of them another label"):
        variants(base, Grid(methods=["brief", {"name": "brief", "alpha": 0.5, "label": "brief"}]))
    with pytest.raises(SettingsError, match="grid.methods.name is 'breif'. Did you mean 'brief'"):
        variants(base, Grid(methods=["breif"]))
    without = resolve({**base.model_dump(mode="json"), "train": None})
    with pytest.raises(RunError, match="no `train` section, so there is nothing to compare"):
        Comparison(without, tmp_path / "it").execute(say=quiet)


def test_cells_are_numbered_work_that_travels(recipe: dict[str, Any], tmp_path: Path) -> None:
    import pickle

    comparison = compared(recipe, tmp_path / "it")
    base, grid = comparison.resolved.recipe, comparison.grid
    planned = list(cells(base, grid, "f", "s", variants(base, grid)))
    assert pickle.loads(pickle.dumps(planned)) == planned
    assert len({cell.folder for cell in planned}) == len(planned)
    assert {cell.recipe["seed"] for cell in planned} == {0, 1, 2} and {
        cell.recipe["test_seed"] for cell in planned
    } == {0}


def test_finished_runs_stand_side_by_side(recipe: dict[str, Any], finished_run: Run, tmp_path: Path) -> None:
    values = {**recipe, "budget": 10, "merge": False, "compare": {"random": 2}, "out": str(tmp_path / "craig")}
    other = Run(resolve({**values, "method": {"name": "craig", "dim": 32}}))
    execute(other, say=quiet)
    found = side_by_side([finished_run.folder, other.folder])
    rows = {row["label"]: row for row in found["tables"][0]["rows"]}
    assert set(rows) == {"random", "small", "craig", "none (base model)"} and rows["random"]["draws"] == 4
    assert rows["small"]["examples"] == rows["craig"]["examples"] == 10
    elsewhere = Run(resolve({**values, "out": str(tmp_path / "o"), "pool": {**recipe["pool"], "held_out": 7}}))
    execute(elsewhere, say=quiet)
    with pytest.raises(RunError, match="cannot be compared: their test examples differ .* Score both on the same"):
        side_by_side([other.folder, elsewhere.folder])
    with pytest.raises(RunError, match="no run with a trained and scored model. Name folders of finished runs"):
        side_by_side([other.folder, tmp_path])
    alone = Run(resolve({**values, "out": str(tmp_path / "a"), "compare": {}, "method": {"name": "longest"}}))
    execute(alone, say=quiet)
    with pytest.raises(
        RunError, match="no run has a random subset of 10 examples to compare with. Set compare.random=3"
    ):
        side_by_side([alone.folder])
