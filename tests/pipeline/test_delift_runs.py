"""DELIFT through the pipeline: three stages from files, embeddings instead, kills, and input that is refused."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apart
import pytest
import tiny
import yaml

from coresift.coreset import Coreset
from coresift.errors import DataError, FeatureError, SelectionError, SettingsError
from coresift.features import pairs
from coresift.pipeline.recipes import resolve
from coresift.pipeline.reporting import report
from coresift.pipeline.runs import Run, open_run
from coresift.pipeline.stages import extract, select

POOL, HELD_OUT = 18, 2
SHARED = Path(os.environ.get("CORESIFT_SHARED", Path(__file__).parents[3] / "shared"))
REAL = SHARED / "data" / "alpaca_gpt4_2600.json"


def quiet(line: str) -> None:
    """Say nothing."""


def write(path: Path, places: Sequence[int]) -> Path:
    pool = tiny.pool(max(places) + 1)
    rows = [{**pool.row(place), "source": "ab"[place % 2]} for place in places]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a pool, and two sets beside it."""
    folder = tmp_path_factory.mktemp("delift")
    tiny.save(folder / "model")
    write(folder / "pool.jsonl", range(POOL))
    write(folder / "target.jsonl", range(30, 34))
    write(folder / "existing.jsonl", [*range(40, 44), 1])
    return folder


@pytest.fixture
def recipe(files: Path, tmp_path: Path) -> dict[str, Any]:
    """A recipe that only selects."""
    return {
        "name": "delift",
        "out": str(tmp_path / "run"),
        "pool": {"path": str(files / "pool.jsonl"), "max_tokens": 256, "held_out": HELD_OUT},
        "model": {"path": str(files / "model"), "dtype": "float32", "device": "cpu"},
        "budget": [2, 4],
        "compare": {"base": False},
    }


def of(method: dict[str, Any], files: Path) -> dict[str, Any]:
    """Method and the second set that its stage needs."""
    beside = {"task": "target", "continual": "existing"}.get(method.get("stage", ""))
    named = {} if beside is None else {beside: {"path": str(files / f"{beside}.jsonl")}}
    return {"method": {"name": "delift", **method}, **named}


@pytest.mark.parametrize(
    ("method", "scored"),
    [
        ({}, {"pool": 256}),
        ({"stage": "task"}, {"pool": 256, "target": 64}),
        ({"stage": "task", "objective": "fl1mi", "pairs": "rows", "rows": 5}, {"pool": 80, "by-target": 20}),
        ({"stage": "task", "objective": "fl2mi"}, {"target": 64}),
        ({"stage": "continual", "nu": 0.5}, {"pool": 256, "existing": 80}),
        ({"stage": "instruction", "pairs": "candidates", "candidates": 4, "encoder": "MODEL"}, {"pool": 64}),
    ],
)
def test_every_stage_goes_from_files_to_a_coreset_and_a_page(
    recipe: dict[str, Any], files: Path, method: dict[str, Any], scored: dict[str, int]
) -> None:
    chosen = {key: str(files / "model") if value == "MODEL" else value for key, value in method.items()}
    run, said = Run(resolve({**recipe, **of(chosen, files)})), []
    coreset = select(run, say=said.append)
    assert len(coreset) == 4 and Coreset.load(run.folder / "budgets" / "2").ids == coreset.ids[:2]
    found = coreset.diagnostics["utilities"]
    assert {part: counts["pairs"] for part, counts in found.items()} == scored
    assert not (run.folder / "warmup").exists(), "utilities are asked of the base model"
    assert {"utilities", "selection"} <= set(run.costs)
    assert run.costs["utilities"]["tokens"] > 0 and run.costs["utilities"]["flops"] > 0
    beside = {name: pool.fingerprint for name, pool in run.inputs.others.items()}
    assert beside.items() <= coreset.provenance["fingerprints"].items()
    assert [name for name in beside if not any(line.startswith(f"{name}: ") for line in said)] == []
    assert "DELIFT chose 4 of 18 examples" in report(run, say=quiet).read_text()


@pytest.mark.parametrize("stage", ["instruction", "task", "continual"])
def test_sentence_embeddings_stand_in_for_utilities_in_every_stage(
    recipe: dict[str, Any], files: Path, stage: str
) -> None:
    method = {"stage": stage, "kernel": "embedding", "encoder": str(files / "model"), "nu": 0.5}
    run = Run(resolve({**recipe, **of(method, files)}))
    coreset = select(run, say=quiet)
    assert len(coreset) == 4 and coreset.diagnostics["kernel"] == "embedding"
    assert "utilities" not in run.costs and run.costs["embeddings"]["tokens"] > 0
    assert ("similarities" in run.costs) == (stage != "instruction")


@pytest.mark.parametrize(
    "method", [{"name": "selectit"}, {"name": "deft-ucs", "encoder": "MODEL", "clusters": 2}], ids=lambda m: m["name"]
)
def test_ratings_and_embeddings_are_extracted_once_for_the_methods_that_look_at_them(
    recipe: dict[str, Any], files: Path, method: dict[str, Any], tmp_path: Path
) -> None:
    model = tmp_path / "longer"
    _with_positions(files / "model", model, 4096)
    settings = {key: str(model) if value == "MODEL" else value for key, value in method.items()}
    run = Run(resolve({**recipe, "model": {**recipe["model"], "path": str(model)}, "method": settings}))
    coreset = select(run, say=quiet)
    assert len(coreset) == 4 and not (run.folder / "warmup").exists()
    stage = "ratings" if method["name"] == "selectit" else "embeddings"
    assert run.costs[stage]["tokens"] > 0
    before = run.costs[stage]
    (run.folder / "coreset.jsonl").unlink()
    assert select(Run(run.resolved), say=quiet).ids == coreset.ids and run.costs[stage] == before


def _with_positions(source: Path, folder: Path, positions: int) -> None:
    import shutil

    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": positions}))


def test_pairs_left_to_auto_are_settled_once_and_kept(
    recipe: dict[str, Any], files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "PILOT", 6)
    method = {"most_pairs": 64, "encoder": str(files / "model")}
    run, said = Run(resolve({**recipe, **of(method, files)})), []
    coreset = select(run, say=said.append)
    plan = coreset.diagnostics["pairs"]
    assert plan["pairs"] in ("rows", "candidates") and plan["count"] == 4 and f"pairs: {plan['reason']}" in said
    assert coreset.provenance["settings"]["pairs"] == plan["pairs"], "what was done, not what was left open"
    assert json.loads((run.folder / "pairs" / "pairs.json").read_text())["plan"] == plan
    assert run.costs["pilot"]["tokens"] > 0 and coreset.diagnostics["utilities"]["pool"]["pairs"] == 64
    before = run.costs["pilot"]
    (run.folder / "coreset.jsonl").unlink()
    again = Run(run.resolved)
    assert select(again, say=quiet).ids == coreset.ids and again.costs["pilot"] == before
    assert plan["reason"].split(":")[0] in report(again, say=quiet).read_text()


def test_pairs_that_could_not_be_scored_are_counted_in_the_coreset_and_on_the_page(
    recipe: dict[str, Any], files: Path
) -> None:
    run, said = Run(resolve({**recipe, **of({"max_tokens": 150}, files)})), []
    counts = select(run, say=said.append).diagnostics["utilities"]["pool"]
    assert counts["shortened"] + counts["unscorable"] > 0
    assert any("pairs with a shortened example" in line for line in said)
    assert "could not be scored and count as 0" in report(run, say=quiet).read_text()


def test_a_killed_run_ends_with_the_kernels_and_the_coreset_of_one_that_was_not(
    recipe: dict[str, Any], files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coresift.features import kernels

    whole = Run(resolve({**recipe, **of({"stage": "task"}, files), "out": str(tmp_path / "whole" / "run")}))
    monkeypatch.setattr(kernels, "PAIRS_PER_SHARD", 16)
    select(whole, say=quiet)
    path = tmp_path / "killed.yaml"
    path.write_text(yaml.safe_dump({**recipe, **of({"stage": "task"}, files)}))
    code = "from coresift.features import kernels; kernels.PAIRS_PER_SHARD = 16; "
    process = apart.start(code + "from coresift.cli.main import main; main()", "select", path)
    apart.until(lambda: len([*tmp_path.glob(".store/.making/utilities-*/*.sha256")]) >= 3, process)
    apart.kill(process)
    select(open_run(path), say=quiet)
    kernels_left = [
        Path(at, name).relative_to(whole.folder)
        for at, _, names in os.walk(whole.folder / "features", followlinks=True)
        for name in names
        if name.startswith("columns")
    ]
    assert len(kernels_left) > 3
    for name in (*kernels_left, "coreset.jsonl", "coreset.npz"):
        assert (tmp_path / "run" / name).read_bytes() == (whole.folder / name).read_bytes(), name


def test_a_budget_of_the_whole_pool_is_answered_and_a_larger_one_refused(recipe: dict[str, Any], files: Path) -> None:
    n = POOL - HELD_OUT
    coreset = select(Run(resolve({**recipe, **of({}, files), "budget": n})), say=quiet)
    assert len(set(coreset.ids)) == n
    with pytest.raises(SelectionError, match=f"the pool has {n} examples"):
        select(Run(resolve({**recipe, **of({}, files), "budget": n + 1, "out": recipe["out"] + "-2"})), say=quiet)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": {"name": "delift", "stage": "task"}}, r"target is missing: delift in stage task looks at"),
        ({"method": {"name": "delift", "stage": "continual"}}, r"existing is missing.*existing.path=FILE"),
        ({"target": {"path": "t.jsonl"}}, r"target is set, but brief does not look at it"),
        (
            {"method": {"name": "delift", "stage": "task"}, "target": {"path": "t"}, "existing": {"path": "e"}},
            r"existing is set, but delift in stage task does not look at it. DELIFT does in stage continual",
        ),
        ({"method": {"name": "delift", "stage": "task"}, "target": {}}, r"target.path: missing"),
        ({"method": {"name": "delift"}, "target": {"pth": "t"}}, r"target.pth: no such setting. Did you mean 'path'"),
    ],
)
def test_a_stage_without_its_set_and_a_set_without_its_stage_are_refused(
    recipe: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        resolve({**recipe, **changes})


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("", {}, r"target.jsonl: the file is empty"),
        ('{"text": "no columns that are known"}\n', {}, r"target.jsonl.*columns"),
        (None, {"sources": ["c"]}, r"target.sources: no example of .* is of 'c'. Its sources are 'a', 'b'"),
        (None, {"examples": 9}, r"target.examples is 9, but .* has 4 to draw from"),
    ],
)
def test_a_target_set_that_cannot_be_used_stops_the_run_before_it_starts(
    recipe: dict[str, Any], files: Path, tmp_path: Path, text: str | None, settings: dict[str, Any], message: str
) -> None:
    target = tmp_path / "target.jsonl"
    target.write_text((files / "target.jsonl").read_text() if text is None else text)
    values = {**recipe, **of({"stage": "task"}, files), "target": {"path": str(target), **settings}}
    with pytest.raises(DataError, match=message):
        select(Run(resolve(values)), say=quiet)
    assert not Path(recipe["out"]).exists(), "nothing half-done"


def test_an_existing_set_that_is_the_pool_is_refused_at_once_and_answered_where_something_is_left(
    recipe: dict[str, Any], files: Path
) -> None:
    same = {"existing": {"path": str(files / "pool.jsonl")}}
    whole = {**recipe, **of({"stage": "continual"}, files), **same}
    with pytest.raises(SelectionError, match="all 16 examples that could be chosen are in .*pool.jsonl already"):
        select(Run(resolve(whole)), say=quiet)
    assert not Path(recipe["out"]).exists(), "before any work"
    coreset = select(Run(resolve({**whole, "method": {**whole["method"], "nu": 0.5}})), say=quiet)
    assert len(coreset) == 4 and coreset.diagnostics["gains"][0] > 0


def test_part_of_a_set_can_be_asked_for(recipe: dict[str, Any], files: Path) -> None:
    target = {"path": str(files / "target.jsonl"), "sources": ["b"], "examples": 1}
    run = Run(resolve({**recipe, **of({"stage": "task"}, files), "target": target}))
    assert [(each.source, each.id in ("e31", "e33")) for each in run.inputs.others["target"]] == [("b", True)]
    world = Run(resolve({**recipe, **of({"stage": "task"}, files), "target": {"path": "world", "sources": ["pet"]}}))
    assert {each.source for each in world.inputs.others["target"]} == {"pet"}


def test_part_of_a_pool_can_be_chosen_from(recipe: dict[str, Any], files: Path) -> None:
    pool = {**recipe["pool"], "examples": 10}
    run, said = Run(resolve({**recipe, **of({}, files), "pool": pool})), []
    coreset = select(run, say=said.append)
    assert coreset.provenance["n"] == 10 and set(coreset.indices.tolist()) <= set(run.inputs.candidates.tolist())
    assert any("10 of 18 examples to choose from" in line and "6 not drawn" in line for line in said)
    many = Run(resolve({**recipe, **of({}, files), "pool": {**pool, "examples": 17}, "out": recipe["out"] + "-2"}))
    with pytest.raises(DataError, match="pool.examples is 17, but 16 examples can be chosen"):
        select(many, say=quiet)


def test_a_set_that_changed_leads_to_another_selection_and_costs_only_what_looks_at_it(
    recipe: dict[str, Any], files: Path, tmp_path: Path
) -> None:
    target = write(tmp_path / "target.jsonl", range(30, 34))
    values = {**recipe, **of({"stage": "task"}, files), "target": {"path": str(target)}}
    run = Run(resolve(values))
    first = select(run, say=quiet)
    before = run.uses.names
    write(target, range(30, 33))
    second = Run(resolve(values))
    assert select(second, say=quiet).provenance["fingerprints"] != first.provenance["fingerprints"]
    changed = {role for role, name in second.uses.names.items() if before.get(role) != name}
    assert "selection" in changed and any(role.startswith("features/utility-target") for role in changed)
    assert not any(role.startswith("features/utility-pool") for role in changed), "it never saw the target"


def test_features_that_were_not_asked_for_are_not_there(recipe: dict[str, Any], files: Path) -> None:
    from coresift.features.utilities import EmbeddingSpec

    features = extract(Run(resolve({**recipe, **of({}, files)})), say=quiet)
    assert features is not None and features.n == POOL - HELD_OUT
    with pytest.raises(FeatureError, match="no array for embedding-full-.* Held: utility-pool-l2-chat"):
        _ = features[EmbeddingSpec()]


@pytest.mark.skipif(not REAL.exists(), reason="needs the shared data")
@pytest.mark.parametrize("stage", ["instruction", "task", "continual"])
def test_a_real_pool_goes_through_every_stage_with_the_embedded_model(tmp_path: Path, stage: str) -> None:
    rows = json.loads(REAL.read_text())
    (tmp_path / "other.json").write_text(json.dumps(rows[300:304]))
    (tmp_path / "pool.json").write_text(json.dumps(rows[:60]))
    beside = {"task": "target", "continual": "existing"}.get(stage)
    values = {
        "name": "real",
        "out": str(tmp_path / "run"),
        "budget": 4,
        "pool": {"path": str(tmp_path / "pool.json"), "max_tokens": 192, "held_out": 0, "examples": 8},
        "model": {"path": "world", "dtype": "float32", "device": "cpu"},
        "method": {"name": "delift", "stage": stage, "nu": 0.5},
        **({} if beside is None else {beside: {"path": str(tmp_path / "other.json")}}),
    }
    coreset = select(Run(resolve(values)), say=quiet)
    assert len(coreset) == 4 and coreset.diagnostics["f"] > 0
    assert all(counts["unscorable"] == 0 for counts in coreset.diagnostics["utilities"].values())
