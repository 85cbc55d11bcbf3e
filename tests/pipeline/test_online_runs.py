"""Runs whose method chooses while the model is trained: every stage, every policy, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from coresift.coreset import Coreset
from coresift.errors import DataError, SelectionError, SettingsError
from coresift.pipeline import online
from coresift.pipeline.estimates import errors_in_words, estimate_errors
from coresift.pipeline.recipes import load_recipe, resolve
from coresift.pipeline.runs import Run
from coresift.pipeline.whole import STAGES, execute
from coresift.training.trace import read_trace

LEAD = {"name": "lead", "clusters": 3, "rate": 0.2}


def online_recipe(recipe: dict[str, Any], out: Path, **changes: Any) -> dict[str, Any]:
    settings = {
        "online": {"keep_unhelpful": True, "loop": {"measure": 2}},
        "method": LEAD,
        "budget": 10,
        "out": str(out),
        "compare": {"random": 1, "base": True},
        "evaluate": {},
        "merge": False,
        **changes,
    }
    return {**recipe, **settings}


def opened(recipe: dict[str, Any], out: Path, **changes: Any) -> Run:
    return Run(resolve(online_recipe(recipe, out, **changes)))


@pytest.fixture(scope="module")
def lead(recipe: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, list[str]]:
    run, said = opened(recipe, tmp_path_factory.mktemp("online") / "lead"), list[str]()
    execute(run, say=said.append)
    return run, said


def test_a_run_leaves_a_coreset_a_model_a_trace_and_a_page(lead: tuple[Run, list[str]]) -> None:
    run, said = lead
    coreset, trace = Coreset.load(run.folder), read_trace(run.folder / "final" / "trace.parquet")
    used = [place for each in trace for place in each["indices"]]
    assert len(coreset) == 10 and coreset.weights.sum() == len(used)
    assert list(coreset.indices) == list(dict.fromkeys(run.inputs.candidates[used].tolist()))
    assert coreset.ids == tuple(dict.fromkeys(name for each in trace for name in each["ids"]))
    assert len((run.folder / "coreset.jsonl").read_text().splitlines()) == 10
    assert (run.folder / "final" / "adapter").is_dir() and (run.folder / "final" / "state.npz").exists()
    page = (run.folder / "report" / "index.html").read_text()
    assert "Round by round" in page and "LEAD chose 10 of the pool&#39;s 40 examples" in page and "first-order" in page
    assert (run.folder / "report" / "arms.png").exists() and (run.folder / "report" / "rounds.png").exists()
    assert [row["name"] for row in json.loads((run.folder / "scores.json").read_text())["rows"]][:2] == [
        "lead",
        "random",
    ]
    assert {"warm-up", "difficulty", "training in rounds"} <= set(run.costs)
    assert any(line.startswith("plan: about ") for line in said)
    assert sum(line.startswith("loss change by ") for line in said) == 3


def test_what_rounds_are_compared_with_is_trained_for_as_many_steps_on_as_many_examples(
    lead: tuple[Run, list[str]],
) -> None:
    rounds, random, *_ = json.loads((lead[0].folder / "scores.json").read_text())["rows"]
    assert rounds["name"] == "lead" and random["name"] == "random" and rounds["steps"] > 3, "more than two full batches"
    assert (random["steps"], random["examples"]) == (rounds["steps"], rounds["examples"])
    assert "Steps differ" not in (lead[0].folder / "report" / "index.html").read_text()


def test_a_finished_run_does_nothing_twice(lead: tuple[Run, list[str]]) -> None:
    run, said = Run(lead[0].resolved), list[str]()
    execute(run, say=said.append)
    assert [line for line in said if not line.startswith("page:")] == []


def test_its_settings_can_be_run_again(lead: tuple[Run, list[str]]) -> None:
    again = load_recipe(lead[0].settings_file).recipe
    assert again == lead[0].recipe and again.method.clusters == 3


@pytest.mark.parametrize(
    "method",
    [
        {"name": "random-per-round"},
        {"name": "loss-per-round"},
        {"name": "static", "selector": {"name": "random"}, "epochs": 2},
        {"name": "static", "selector": {"name": "craig", "dim": 16}},
        {**LEAD, "delta": "paper", "invalid": "own-cluster"},
    ],
    ids=lambda method: f"{method['name']}-{method.get('selector', {}).get('name', '')}",
)
def test_every_policy_runs(method: dict[str, Any], recipe: dict[str, Any], tmp_path: Path) -> None:
    run = opened(
        recipe, tmp_path / "run", method=method, compare={"base": False}, pool={**recipe["pool"], "held_out": 0}
    )
    execute(run, say=lambda line: None)
    coreset = Coreset.load(run.folder)
    assert len(coreset) == 10 and coreset.provenance["method"] == method["name"]
    if method["name"] == "static":
        assert set(coreset.weights) == {float(method.get("epochs", 1))}
    assert load_recipe(run.settings_file).recipe == run.recipe
    assert yaml.safe_load(run.settings_file.read_text())["method"]["name"] == method["name"]


def test_tasks_are_sources_a_column_or_one(recipe: dict[str, Any], tmp_path: Path) -> None:
    def tasks(**settings: Any) -> Any:
        return online.tasks(opened(recipe, tmp_path, online=settings), say=said.append)

    said: list[str] = []
    assert set(tasks()) == {"a", "b"} and tasks(groups="none") is None
    assert tasks(groups="note")[0].startswith("{'kept'")
    with pytest.raises(
        DataError, match=r"online.groups is 'topic', but example e0 has no such column \(34 of 34 .*note"
    ):
        tasks(groups="topic")
    assert said == []


def test_tasks_may_be_clusters_of_embeddings(recipe: dict[str, Any], tmp_path: Path) -> None:
    wanted = {"groups": "embedding", "encoder": recipe["model"]["path"], "embedding_clusters": 3}
    run = opened(recipe, tmp_path / "run", online=wanted)
    run.begin()
    found = online.tasks(run, say=lambda line: None)
    assert found is not None and set(found) == {"cluster 0", "cluster 1", "cluster 2"} and len(found) == 34


def test_the_stages_before_training_can_be_run_alone(recipe: dict[str, Any], tmp_path: Path) -> None:
    run = opened(recipe, tmp_path / "run")
    assert STAGES["warmup"](run, say=lambda line: None) is not None
    assert STAGES["extract"](run, say=lambda line: None) is None
    assert list(run.costs) == ["rendering", "warm-up", "difficulty"]
    cheap = opened(recipe, tmp_path / "cheap", online={"difficulty_of": "base"})
    assert STAGES["warmup"](cheap, say=lambda line: None) is None


def test_the_published_recipe_has_the_published_settings() -> None:
    recipe = load_recipe("lead-llama3.1-8b").recipe
    method, warm = recipe.method, recipe.warmup_train
    assert (method.clusters, method.gamma, method.b, method.rate, method.rounds, method.most_uses) == (
        7,
        0.1,
        0.1,
        0.015,
        20,
        4,
    )
    assert recipe.train is not None and recipe.budget == 0.025
    assert (recipe.train.lora.rank, recipe.train.lora.alpha, recipe.train.lora.dropout) == (64, 16, 0.1)
    assert (recipe.train.learning_rate, recipe.train.batch_size, recipe.online.loop.schedule) == (2e-5, 16, "steps")
    assert (warm.lora.rank, warm.epochs, warm.warmup_ratio, recipe.pool.max_tokens) == (32, 4, 0.03, 3080)


def test_a_pool_without_sources_is_one_task_and_says_so(recipe: dict[str, Any], tmp_path: Path) -> None:
    lines = [json.loads(line) for line in Path(recipe["pool"]["path"]).read_text().splitlines()]
    path = tmp_path / "pool.jsonl"
    path.write_text("".join(json.dumps({**line, "source": None}) + "\n" for line in lines))
    said: list[str] = []
    found = online.tasks(opened(recipe, tmp_path / "run", pool={**recipe["pool"], "path": str(path)}), say=said.append)
    assert found is not None and len(set(found)) == 1
    assert said == [] or "all are one task" in said[0]


def test_what_rounds_cannot_do_is_refused(recipe: dict[str, Any], tmp_path: Path) -> None:
    def refused(**changes: Any) -> None:
        execute(opened(recipe, tmp_path / "run", **changes), say=lambda line: None)

    with pytest.raises(SettingsError, match="lead chooses while the model is trained, but the recipe has no `train`"):
        refused(train=None)
    with pytest.raises(SettingsError, match="lead takes one budget, found 2. Use one run for each"):
        refused(budget=[4, 5])
    with pytest.raises(SettingsError, match="lead counts examples, not tokens. Give the budget as a count"):
        refused(budget="500 tokens")
    with pytest.raises(SettingsError, match="online.groups is 'embedding', but the recipe names no encoder"):
        refused(online={"groups": "embedding"})
    with pytest.raises(SettingsError, match="method.selector.name is 'lead'. Known methods: .*brief"):
        refused(method={"name": "static", "selector": {"name": "lead"}})
    with pytest.raises(SettingsError, match="method.clusterz: lead has no such setting. Did you mean 'clusters'"):
        refused(method={**LEAD, "clusterz": 3})
    with pytest.raises(SelectionError, match="the pool has 34 examples. Ask for at most 34"):
        refused(budget=35)


def test_errors_of_estimates_are_those_of_what_was_measured_again() -> None:
    shared = {"learning_rate": 0.1, "steps": 2, "cosine": None, "arm": 0, "indices": [4, 7]}
    trace = [
        {**shared, "losses": [3.0, 2.0], "changes": [-0.5, -0.2], "measured": [7], "realised": [-0.4]},
        {**shared, "losses": [2.0, 1.0], "changes": None, "measured": [4, 7], "realised": [-1.5, None]},
    ]
    found = estimate_errors(trace)
    assert found["none"] == {"examples": 2, "realised": -0.95, "estimated": 0.0, "rms": pytest.approx(1.0977, abs=1e-4)}
    # the first round says nothing; then the same arm fell by 1 over a path of 0.2, so the norm says 1 again
    assert found["paper"]["estimated"] == pytest.approx(-0.5) and found["paper"]["examples"] == 2
    assert found["first-order"] == {"examples": 1, "realised": -0.4, "estimated": -0.2, "rms": pytest.approx(0.2)}
    assert errors_in_words(found)[0].startswith("loss change by 'none': estimated +0.0000, realised -0.9500, root mean")
    assert estimate_errors([{**trace[0], "measured": [], "realised": []}]) == {}


def test_scores_in_words_name_the_reasons() -> None:
    from coresift.extract.difficulty import checked

    found = checked(np.array([0.5, 1.5]), np.array([2.0, 4.0]))
    assert online.scores_in_words(found, True) == (
        "difficulty: 2 examples, mean loss 3.000 nats per response token, median difficulty 0.500, "
        "1 without difficulty because its instruction does not make the response easier"
    )
    assert (
        online.scores_in_words(found, False) == "first utilities: 2 examples, mean loss 3.000 nats per response token"
    )
    nothing = checked(np.array([np.nan]), np.array([np.nan]))
    assert online.scores_in_words(nothing, True).startswith("difficulty: 1 examples, no finite loss, 1 without")
