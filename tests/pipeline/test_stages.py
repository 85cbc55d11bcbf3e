"""A run leaves what the guide promises, does nothing twice, survives a kill, and refuses to mix runs."""

import csv
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import apart
import numpy as np
import pytest
import yaml

from coresift.coreset import Coreset
from coresift.data.readers import read_pool
from coresift.errors import DataError, RunError, SelectionError
from coresift.pipeline.recipes import resolve
from coresift.pipeline.runs import Run, open_run
from coresift.pipeline.stages import extract, select, train
from coresift.pipeline.whole import STAGES, execute
from coresift.selection import select as choose
from coresift.selectors import Brief

PROMISED = (
    *("settings.yaml", "coreset.jsonl", "coreset.npz", "coreset.json", "alpha_search.csv", "skipped.jsonl"),
    *(
        "artefacts.json",
        "history.jsonl",
        "warmup/adapter/adapter_model.safetensors",
        "warmup/moments.safetensors",
        "features",
        "scores.json",
    ),
    *("final/adapter/adapter_model.safetensors", "merged/model/model.safetensors", "report/index.html", "costs.json"),
)


def quiet(line: str) -> None:
    """Say nothing."""


def contents(folder: Path) -> dict[str, str]:
    """Hashes of all files, those behind links included."""
    return {
        os.path.relpath(os.path.join(at, name), folder): hashlib.sha256(Path(at, name).read_bytes()).hexdigest()
        for at, _, names in os.walk(folder, followlinks=True)
        for name in names
    }


def timeless(folder: Path) -> dict[str, str]:
    """The same without what says how long things took."""
    timed = ("cost.json", "costs.json", "training.json", "artefacts.json", "whole.json")
    return {name: its for name, its in contents(folder).items() if Path(name).name not in timed}


def test_a_run_leaves_every_file_that_is_promised(finished: Run) -> None:
    assert [name for name in PROMISED if not (finished.folder / name).exists()] == []
    assert len(list((finished.folder / "report").glob("*.png"))) >= 5


def test_running_it_again_changes_no_byte(finished: Run) -> None:
    before = contents(finished.folder)
    again = Run(finished.resolved)
    lines: list[str] = []
    execute(again, say=lines.append)
    assert contents(finished.folder) == before
    assert [line for line in lines if not line.startswith("page")] == []


def test_the_coreset_has_the_same_picks_in_every_form(finished: Run) -> None:
    pool = finished.inputs.pool
    coreset = Coreset.load(finished.folder)
    lines = [json.loads(line) for line in (finished.folder / "coreset.jsonl").read_text().splitlines()]
    assert len(coreset) == round(0.3 * (40 - 6))
    assert [line["coresift_id"] for line in lines] == list(coreset.ids) == [pool[int(i)].id for i in coreset.indices]
    assert [line["coresift_weight"] for line in lines] == coreset.weights.tolist()
    assert coreset.weights.sum() == len(finished.inputs.candidates)
    assert all(set(line) >= {"messages", "source", "note"} for line in lines), "the input's own schema"
    arrays = np.load(finished.folder / "coreset.npz", allow_pickle=False)
    assert arrays["subset"].dtype == np.int64 and arrays["weights"].dtype == np.float32
    assert read_pool(finished.folder / "coreset.jsonl").ids == coreset.ids


def test_held_out_examples_are_never_chosen_nor_trained_on(finished: Run) -> None:
    held_out = set(finished.inputs.held_out_positions.tolist())
    assert len(held_out) == 6
    for folder in (finished.folder, finished.folder / "compare" / "full", finished.folder / "compare" / "random-0"):
        assert held_out.isdisjoint(Coreset.load(folder).indices.tolist())
    assert len(Coreset.load(finished.folder / "compare" / "full")) == 34


def test_a_smaller_budget_of_the_same_run_is_a_prefix(finished: Run) -> None:
    small, large = Coreset.load(finished.folder / "budgets" / "4"), Coreset.load(finished.folder)
    assert small.ids == large.ids[:4]
    assert small.weights.sum() == large.weights.sum()


def test_the_search_is_written_as_a_table_with_one_chosen_row(finished: Run) -> None:
    with (finished.folder / "alpha_search.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    diagnostics = Coreset.load(finished.folder).diagnostics
    chosen = [row for row in rows if row["chosen"] == "1"]
    assert len(rows) == len(diagnostics["trials"]) and len(chosen) == 1
    assert float(chosen[0]["alpha"]) == diagnostics["alpha"]
    assert float(chosen[0]["total"]) == min(float(row["total"]) for row in rows)


def test_the_settings_say_where_each_value_came_from(finished: Run) -> None:
    text = finished.settings_file.read_text()
    assert "  max_tokens: 256  # small.yaml" in text and "seed: 0  # default" in text
    assert resolve(yaml.safe_load(text)).recipe == finished.recipe


def test_the_settings_of_a_folder_run_again_in_it_keep_their_origins(recipe: dict[str, Any], tmp_path: Path) -> None:
    plain = {**recipe, "method": {"name": "random"}, "compare": {}, "train": None, "merge": False, "budget": 4}
    first = Run(resolve({**plain, "out": str(tmp_path / "run")}, origin="small.yaml"))
    select(first, say=quiet)
    before = first.settings_file.read_text()
    (first.folder / "coreset.jsonl").unlink()
    again = open_run(first.settings_file)
    STAGES["report"](again, say=quiet)
    assert first.settings_file.read_text() == before and "  max_tokens: 256  # small.yaml" in before
    assert "All values are those of <bdi>settings.yaml</bdi>" in (first.folder / "report" / "index.html").read_text()


def test_scores_compare_the_method_with_random_the_whole_pool_and_the_base(finished: Run) -> None:
    rows = json.loads((finished.folder / "scores.json").read_text())["rows"]
    assert [row["name"] for row in rows] == ["brief", "brief, unweighted", "random", "full", "none (base model)"]
    assert [row["seeds"] for row in rows] == [1, 1, 2, 1, 1]
    assert [row["examples"] for row in rows] == [10, 10, 10, 34, 0]
    assert all(set(row["loss"]) == {"response", "knowledge", "following"} for row in rows)
    loss = rows[0]["loss"]
    assert loss["response"] == pytest.approx(loss["knowledge"] + loss["following"], abs=1e-6)
    assert rows[2]["spread"]["loss"]["response"] > 0
    assert rows[0]["loss"] != rows[1]["loss"], "the weights reach the loss"


def test_every_stage_has_a_cost(finished: Run) -> None:
    stages = {"warm-up", "gradients", "selection", "final training", "training on full", "evaluation"}
    assert stages <= set(finished.costs)
    assert all(finished.costs[stage]["seconds"] > 0 for stage in stages)
    assert finished.costs["gradients"]["tokens"] > 0 and finished.costs["gradients"]["flops"] > 0


def test_a_selection_with_too_little_memory_goes_on_with_more_and_extracts_nothing_again(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    values = {**recipe, "out": str(tmp_path / "run"), "train": None, "compare": {}, "merge": False}
    with pytest.raises(SelectionError, match="needs .* beyond the features, and the memory given is 1 KB"):
        select(Run(resolve({**values, "memory": "1kB"})), say=quiet)
    before = contents(tmp_path / "run" / "features"), contents(tmp_path / "run" / "warmup")
    run = Run(resolve({**values, "memory": "150MB"}))
    costs = run.costs
    coreset = select(run, say=quiet)
    assert len(coreset) == 10 and {stage: run.costs[stage] for stage in costs} == costs
    assert (contents(run.folder / "features"), contents(run.folder / "warmup")) == before
    assert yaml.safe_load(run.settings_file.read_text())["memory"] == "150MB"


def test_another_alpha_is_chosen_from_what_a_run_has_stored(finished: Run) -> None:
    before, costs = contents(finished.folder / "features"), finished.costs
    method = Brief(dim=64, preconditioner="adam", alpha=0.3)
    other = choose(method, extract(finished, say=quiet), 0.1, ids=finished.inputs.chosen_from.ids)
    assert other.diagnostics["alpha"] == 0.3
    places = finished.inputs.candidates[other.indices]
    assert [finished.inputs.pool[int(place)].id for place in places] == list(other.ids)
    assert (contents(finished.folder / "features"), finished.costs) == (before, costs)


def test_a_method_without_gradients_needs_no_warm_up(recipe: dict[str, Any], tmp_path: Path) -> None:
    run = Run(
        resolve(
            {
                **recipe,
                "out": str(tmp_path / "run"),
                "method": {"name": "random"},
                "compare": {},
                "train": None,
                "merge": False,
            }
        )
    )
    assert execute(run, say=quiet) == []
    assert not (run.folder / "warmup").exists() and (run.folder / "report" / "index.html").exists()


def test_examples_that_do_not_fit_are_excluded_and_listed_on_the_page(recipe: dict[str, Any], tmp_path: Path) -> None:
    pool = {**recipe["pool"], "max_tokens": 80, "held_out": 0}
    values = {
        **recipe,
        "out": str(tmp_path / "run"),
        "pool": pool,
        "method": {"name": "random"},
        "compare": {},
        "train": None,
    }
    run = Run(resolve(values))
    coreset = select(run, say=quiet)
    excluded = run.inputs.rendered.excluded
    assert 0 < len(excluded) < 40
    assert set(excluded).isdisjoint(coreset.indices.tolist())
    STAGES["report"](run, say=quiet)
    assert "longer than pool.max_tokens=80" in (run.folder / "report" / "index.html").read_text()


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        ({"max_tokens": 8}, "all 40 examples are longer than pool.max_tokens=8. Raise pool.max_tokens"),
        ({"held_out": 40}, "pool.held_out=40 leaves nothing to choose from"),
    ],
)
def test_a_pool_with_nothing_to_choose_from_is_an_error(
    recipe: dict[str, Any], tmp_path: Path, pool: dict[str, Any], message: str
) -> None:
    run = Run(resolve({**recipe, "out": str(tmp_path / "run"), "pool": {**recipe["pool"], **pool}}))
    with pytest.raises(DataError, match=message):
        select(run, say=quiet)
    assert not run.folder.exists(), "nothing half-done"


def test_an_example_longer_than_the_model_takes_stops_the_run_before_it_starts(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    pool = tmp_path / "pool.jsonl"
    pool.write_text(json.dumps({"instruction": "i", "output": "y " * 300}) + "\n")
    settings = {**recipe["pool"], "path": str(pool), "max_tokens": 2048, "held_out": 0}
    run = Run(resolve({**recipe, "out": str(tmp_path / "run"), "pool": settings, "budget": 1}))
    with pytest.raises(DataError, match="takes at most 512. Pass --set pool.max_tokens=512 or lower"):
        select(run, say=quiet)
    assert not run.folder.exists(), "nothing half-done"


def test_what_the_model_does_not_take_is_left_out_and_counted_unless_a_limit_is_set(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    pool = tmp_path / "pool.jsonl"
    rows = [{"instruction": f"i{place}", "output": "y " * (300 if place == 3 else place + 1)} for place in range(6)]
    pool.write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {"path": str(pool), "held_out": 0}
    values = {**recipe, "out": str(tmp_path / "run"), "pool": settings, "budget": 1, "compare": {}}
    values["method"] = {"name": "random"}
    lines: list[str] = []
    run = Run(resolve(values))
    select(run, say=lines.append)
    assert run.inputs.max_tokens == 512, "what the tiny model takes"
    assert "pool: 5 of 6 examples to choose from, 1 longer than the 512 tokens that the model takes" in lines


def test_a_test_pool_whose_examples_are_all_too_long_is_an_error(recipe: dict[str, Any], tmp_path: Path) -> None:
    long = tmp_path / "test.jsonl"
    long.write_text(json.dumps({"instruction": "x " * 500, "output": "y"}) + "\n")
    run = Run(resolve({**recipe, "out": str(tmp_path / "run"), "evaluate": {"test": str(long)}}))
    with pytest.raises(
        DataError, match="all 1 test examples are longer than pool.max_tokens=256. Raise pool.max_tokens"
    ):
        _ = run.inputs.held_out


def test_pool_text_with_markup_reaches_the_page_escaped(recipe: dict[str, Any], tmp_path: Path) -> None:
    pool = tmp_path / "pool.jsonl"
    evil = "<script>alert('pool')</script>"
    rows = [{"instruction": f"{evil} {n}", "output": f"{evil} {n}", "source": evil} for n in range(12)]
    pool.write_text("\n".join(map(json.dumps, rows)))
    settings = {**recipe["pool"], "path": str(pool), "held_out": 2}
    values = {**recipe, "out": str(tmp_path / "run"), "pool": settings, "train": None, "budget": 4}
    run = Run(resolve(values))
    STAGES["report"](run, say=quiet)
    page = (run.folder / "report" / "index.html").read_text()
    assert "alert(&#39;pool&#39;)" in page or "alert('pool')" in page.replace("\\u003c", "<"), "the text is shown"
    assert "<script>alert" not in page


def test_a_killed_run_goes_on_and_ends_with_the_same_coreset_and_model(finished: Run, recipe_file: Path) -> None:
    """Kills the process in the middle of its stages, three times, then lets it finish."""
    out = recipe_file.parent / "run"
    marks = [out / "warmup" / "inputs.json", out / "coreset.npz", out / "compare" / "random-0" / "coreset.jsonl"]
    for mark in marks:
        process = apart.start("from coresift.cli.main import main; main()", "run", recipe_file)
        apart.until(mark.exists, process)
        apart.kill(process)
    execute(open_run(recipe_file), say=quiet)
    for name in ("coreset.jsonl", "coreset.npz", "features"):
        mine, theirs = out / name, finished.folder / name
        assert (
            (timeless(mine) == timeless(theirs) != {}) if mine.is_dir() else (mine.read_bytes() == theirs.read_bytes())
        )
    model = "final/adapter/adapter_model.safetensors"
    assert (out / model).read_bytes() == (finished.folder / model).read_bytes()


def test_without_a_final_training_nothing_is_trained(recipe: dict[str, Any], tmp_path: Path) -> None:
    run = Run(
        resolve({**recipe, "out": str(tmp_path / "run"), "method": {"name": "random"}, "compare": {}, "train": None})
    )
    assert train(run, say=quiet) == {}


def test_a_folder_that_holds_something_else_is_left_alone(recipe: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "notes"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="holds something that is not a run"):
        select(Run(resolve({**recipe, "out": str(out)})), say=quiet)
    assert [path.name for path in out.iterdir()] == ["notes.txt"]


def test_a_token_budget_below_the_shortest_example_fails_before_anything_runs(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    run = Run(resolve({**recipe, "out": str(tmp_path / "run"), "budget": "3 tokens"}))
    with pytest.raises(SelectionError, match="the shortest example has .* tokens. Ask for at least"):
        select(run, say=quiet)
    assert not run.folder.exists()


def test_scores_of_other_test_examples_are_not_kept(recipe: dict[str, Any], tmp_path: Path) -> None:
    lines = Path(recipe["pool"]["path"]).read_text().splitlines()
    test = tmp_path / "test.jsonl"
    values = {**recipe, "out": str(tmp_path / "run"), "method": {"name": "random"}, "compare": {"base": True}}
    values |= {"evaluate": {"test": str(test)}, "merge": False, "budget": 4}
    test.write_text("\n".join(lines[:3]))
    first = execute(Run(resolve(values)), say=quiet)
    test.write_text("\n".join(lines[3:9]))
    second = execute(Run(resolve(values)), say=quiet)
    assert [row["name"] for row in first] == ["random", "none (base model)"]
    assert all(one["loss"] != other["loss"] for one, other in zip(first, second, strict=True))
    assert json.loads((tmp_path / "run" / "scores.json").read_text())["test_examples"] == 6


def test_what_is_not_done_is_said(recipe: dict[str, Any], tmp_path: Path) -> None:
    lines: list[str] = []
    plain = {**recipe, "method": {"name": "random"}, "compare": {}, "budget": 4}
    execute(Run(resolve({**plain, "out": str(tmp_path / "a"), "train": None})), say=lines.append)
    assert "nothing is trained: the recipe has no `train` section" in lines
    assert "pool: 34 of 40 examples to choose from, 6 held out for scoring" in lines
    pool = {**recipe["pool"], "held_out": 0}
    execute(Run(resolve({**plain, "out": str(tmp_path / "b"), "pool": pool})), say=lines.append)
    assert any(line.startswith("nothing is scored") for line in lines)
