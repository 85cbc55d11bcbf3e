"""A run can grow: what other settings do not change is found, by this run and by every run beside it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from coresift.coreset import Coreset
from coresift.errors import RunError
from coresift.pipeline.recipes import resolve
from coresift.pipeline.runs import Run
from coresift.pipeline.stages import extract, select
from coresift.pipeline.uses import history, pack
from coresift.pipeline.whole import STAGES, execute

Made = Callable[..., tuple[Run, set[str]]]


def quiet(line: str) -> None:
    """Say nothing."""


def artefacts(root: Path) -> set[str]:
    return {path.name for path in root.glob("*-*") if (path / "whole.json").is_file()}


def kinds(names: set[str]) -> list[str]:
    return sorted(name.rpartition("-")[0] for name in names)


@pytest.fixture
def made(recipe: dict[str, Any], finished: Run, tmp_path: Path) -> Made:
    """Executes a changed recipe in a copy of the finished run and its store; gives the run and what was made anew."""
    shutil.copytree(finished.folder.parent, tmp_path / "runs", symlinks=True)

    def run(stage: str = "report", **changes: Any) -> tuple[Run, set[str]]:
        before = artefacts(tmp_path / "runs" / ".store")
        opened = Run(resolve({**recipe, "out": str(tmp_path / "runs" / "small"), **changes}, origin="small.yaml"))
        execute(opened, say=quiet) if stage == "report" else STAGES[stage](opened, say=quiet)
        return opened, artefacts(tmp_path / "runs" / ".store") - before

    return run


def test_the_same_settings_make_nothing(made: Made) -> None:
    assert made()[1] == set()


def test_one_more_random_seed_costs_its_training_and_its_scores(made: Made, recipe: dict[str, Any]) -> None:
    run, new = made(compare={**recipe["compare"], "random": 3})
    assert kinds(new) == ["scores", "training"]
    rows = json.loads((run.folder / "scores.json").read_text())["rows"]
    assert [row["seeds"] for row in rows if row["name"] == "random"] == [3]


def test_one_more_metric_costs_scores_alone(made: Made) -> None:
    _, new = made(evaluate={"answers": True, "max_new_tokens": 4, "metrics": ["rouge1"]})
    assert set(kinds(new)) == {"scores"}


def test_another_budget_costs_a_selection_and_what_is_trained_on_it(made: Made) -> None:
    run, new = made(budget=[4, 0.2])
    assert set(kinds(new)) == {"selection", "training", "merged", "scores"}
    assert len(Coreset.load(run.folder)) == 7 and (run.folder / "budgets" / "4").is_dir()


def test_fewer_budgets_are_answered_from_what_is_there(made: Made) -> None:
    run, new = made(budget=0.3)
    assert new == set() and len(Coreset.load(run.folder)) == 10 and not (run.folder / "budgets").exists()


def test_unit_rows_are_chosen_from_the_same_features(made: Made) -> None:
    _, new = made("select", method={"name": "brief", "dim": 64, "preconditioner": "adam", "unit_norm": True})
    assert kinds(new) == ["selection"]


def test_response_gradients_follow_from_those_of_its_two_parts(made: Made) -> None:
    said: list[str] = []
    run, new = made("select", method={"name": "craig", "dim": 64, "preconditioner": "adam"})
    assert kinds(new) == ["selection"]
    extract(Run(run.resolved), say=said.append)
    assert [line for line in said if "follows from knowledge-adam-64" in line]


def test_settings_that_change_nothing_make_nothing(made: Made) -> None:
    assert made(extract={"shard_rows": 4, "batch_tokens": 64}, name="other")[1] == set()


def test_back_to_earlier_settings_everything_is_there(made: Made) -> None:
    first = Coreset.load(made()[0].folder)
    made(budget=5, train=None, merge=False)
    run, new = made()
    assert new == set() and Coreset.load(run.folder).ids == first.ids
    assert [entry["budget"] for entry in history(run.folder)] == ["5", "0.3"]
    assert (run.folder / "scores.json").exists() and (run.folder / "report" / "index.html").exists()


def test_a_run_beside_it_shares_warm_up_and_features(made: Made, recipe: dict[str, Any], tmp_path: Path) -> None:
    before = artefacts(tmp_path / "runs" / ".store")
    values = {**recipe, "out": str(tmp_path / "runs" / "second")}
    values |= {"method": {"name": "brief", "dim": 64, "preconditioner": "adam", "alpha": 0.5}}
    second = Run(resolve(values))
    select(second, say=quiet)
    assert kinds(artefacts(tmp_path / "runs" / ".store") - before) == ["selection"]
    assert second.costs["gradients"]["tokens"] > 0, "what it used counts, whoever made it"


def test_the_spelling_of_paths_and_budgets_changes_nothing(
    made: Made, recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(recipe["pool"]["path"]).parent)
    _, new = made(pool={**recipe["pool"], "path": "./pool.jsonl"}, model={**recipe["model"], "path": "model/"})
    assert new == set()
    assert made(budget=["4", "30%"])[1] == set()


def test_a_moved_run_goes_on_with_the_store_it_was_made_with(
    made: Made, recipe: dict[str, Any], tmp_path: Path
) -> None:
    made()
    moved = tmp_path / "elsewhere" / "small"
    shutil.copytree(tmp_path / "runs", moved.parent, symlinks=True)
    shutil.rmtree(tmp_path / "runs")
    said: list[str] = []
    execute(Run(resolve({**recipe, "out": str(moved)}, origin="small.yaml")), say=said.append)
    assert [line for line in said if not line.startswith("page")] == []
    assert json.loads((moved / "final" / "training.json").read_text())["examples"] == 10


def test_a_packed_run_needs_no_store(made: Made, recipe: dict[str, Any], tmp_path: Path) -> None:
    run, _ = made()
    pack(run.folder)
    alone = tmp_path / "alone"
    shutil.copytree(run.folder, alone, symlinks=True)
    shutil.rmtree(tmp_path / "runs")
    said: list[str] = []
    execute(Run(resolve({**recipe, "out": str(alone)}, origin="small.yaml")), say=said.append)
    assert [line for line in said if not line.startswith("page")] == []
    assert (alone / "final" / "adapter" / "adapter_model.safetensors").is_file()


def test_a_pool_that_changed_leads_to_another_selection(recipe: dict[str, Any], tmp_path: Path) -> None:
    rows = Path(recipe["pool"]["path"]).read_text().splitlines()
    pool = tmp_path / "pool.jsonl"
    values = {**recipe, "out": str(tmp_path / "run"), "pool": {**recipe["pool"], "path": str(pool)}, "train": None}
    values |= {"method": {"name": "random"}, "compare": {}, "merge": False, "budget": 4}
    pool.write_text("\n".join(rows[:30]))
    first = select(Run(resolve(values)), say=quiet)
    pool.write_text("\n".join(rows[5:36]))
    second = select(Run(resolve(values)), say=quiet)
    assert first.provenance["fingerprints"]["pool"] != second.provenance["fingerprints"]["pool"]
    assert Coreset.load(tmp_path / "run").ids == second.ids


def test_a_changed_coreset_file_is_written_again_and_the_changed_one_kept(made: Made) -> None:
    run, _ = made()
    rows = run.folder / "coreset.jsonl"
    whole = rows.read_text()
    rows.write_text("".join(whole.splitlines(keepends=True)[:-3]))
    said: list[str] = []
    select(Run(run.resolved), say=said.append)
    assert rows.read_text() == whole and len((run.folder / "coreset.jsonl.changed").read_text().splitlines()) == 7
    assert any("was changed by somebody" in line for line in said)


@pytest.mark.parametrize("role", ["warmup", "final", "selection"])
def test_a_damaged_artefact_is_named_and_made_again(made: Made, role: str, tmp_path: Path) -> None:
    run, _ = made()
    folder = tmp_path / "runs" / ".store" / run.uses.names[role]
    victim = next(path for path in sorted(folder.rglob("*.safetensors")) + sorted(folder.rglob("*.npz")))
    whole = victim.read_bytes()
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    victim.write_bytes(flipped)
    said: list[str] = []
    execute(Run(run.resolved), say=said.append)
    assert any(line.startswith(f"damaged: {folder.name} ({victim.relative_to(folder)})") for line in said)
    assert victim.read_bytes() == whole


def test_of_damaged_features_only_the_damaged_shard_is_computed_again(made: Made, tmp_path: Path) -> None:
    run, _ = made()
    name = next(name for role, name in run.uses.names.items() if role.startswith("features/knowledge"))
    shards = sorted((tmp_path / "runs" / ".store" / name).glob("rows-*.safetensors"))
    whole, times = shards[1].read_bytes(), [path.stat().st_mtime_ns for path in shards]
    shards[1].write_bytes(whole[:100])
    execute(Run(run.resolved), say=quiet)
    assert shards[1].read_bytes() == whole
    now = [path.stat().st_mtime_ns for path in shards]
    assert [before == after for before, after in zip(times, now, strict=True)] == [
        place != 1 for place in range(len(shards))
    ]


def test_settings_that_are_no_settings_are_named(made: Made) -> None:
    run, _ = made()
    run.settings_file.write_text("- a\n- list\n")
    with pytest.raises(RunError, match=r"settings.yaml: these are no settings .* Delete this file"):
        made()


def test_a_folder_of_the_first_version_is_left_alone(recipe: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "run" / "warmup").mkdir(parents=True)
    (tmp_path / "run" / "settings.yaml").write_text(yaml.safe_dump(recipe))
    with pytest.raises(RunError, match="was made by coresift 0.1.0"):
        Run(resolve({**recipe, "out": str(tmp_path / "run")}))


def test_costs_add_up_to_the_time_of_the_command(recipe: dict[str, Any], tmp_path: Path) -> None:
    import time

    values = {**recipe, "out": str(tmp_path / "run"), "method": {"name": "random"}, "compare": {}, "merge": False}
    began, run = time.monotonic(), Run(resolve({**values, "budget": 4}))
    with run.alone():
        STAGES["report"](run, say=quiet)
    wall = time.monotonic() - began
    assert {"reading", "figures", "other"} <= set(run.costs)
    assert sum(cost["seconds"] for cost in run.costs.values()) == pytest.approx(wall, rel=0.1)
