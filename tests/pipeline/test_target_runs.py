"""Methods with a target through the pipeline: what is compared, what is kept, what is found again, what is refused."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from typer.testing import CliRunner

from coresift.cli.main import app
from coresift.coreset import Coreset
from coresift.errors import DataError, SettingsError
from coresift.extract.hidden import HiddenStates
from coresift.features.targets import GradientSimilaritySpec, HiddenSimilaritySpec
from coresift.models.load import load_model
from coresift.pipeline.recipes import resolve
from coresift.pipeline.runs import Run
from coresift.pipeline.stages import extract, select
from coresift.pipeline.tuning import warm_up
from coresift.targets.influence import cosines

METHODS: dict[str, dict[str, Any]] = {
    "less": {"name": "less", "dim": 256},
    "less, mean gradients": {"name": "less", "dim": 256, "average": "gradients"},
    "rds": {"name": "rds"},
    "bm25": {"name": "bm25"},
    "target-match": {"name": "target-match", "dim": 256},
}
WARM = {"fraction": 0.3, "train": {"epochs": 2, "learning_rate": 1e-2, "lora": {"rank": 2, "alpha": 4}}}


def write(path: Path, places: Iterable[int], **columns: Any) -> Path:
    """Examples of another part of the pool than the candidates, with more columns that say something of each."""
    pool = tiny.pool(60)
    rows = [{**pool.row(p), "source": "ab"[p % 2], **{key: of(p) for key, of in columns.items()}} for p in places]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return write(tmp_path / "target.jsonl", range(50, 55), subtask=lambda place: f"task {place % 3}")


def opened(recipe: dict[str, Any], target: Path | None, method: dict[str, Any], **changes: Any) -> Run:
    beside = {} if target is None else {"target": {"path": str(target)}}
    small = {"method": method, "warmup": WARM, "budget": 6, "train": None, "evaluate": {}, "merge": False}
    small |= {"compare": {"base": False}, **({} if target is None else {"out": str(target.parent / "runs" / "one")})}
    return Run(resolve({**recipe, **small, **beside, **changes}))


def quiet(line: str) -> None:
    """Say nothing."""


def made(run: Run) -> dict[str, int]:
    """How many artefacts of each kind the store of a run holds."""
    names = [path.name.rpartition("-")[0] for path in run.store.root.glob("*-*") if (path / "whole.json").is_file()]
    return {name: names.count(name) for name in sorted(set(names))}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_chooses_for_the_subtasks_that_the_target_names(
    name: str, recipe: dict[str, Any], target: Path
) -> None:
    run = opened(recipe, target, METHODS[name])
    coreset = select(run, say=quiet)
    assert len(coreset) == 6 and set(coreset.diagnostics["subtasks"]) == {"task 0", "task 1", "task 2"}
    assert sum(coreset.diagnostics["subtasks"].values()) == 6
    assert coreset.diagnostics["target_columns"] == (3 if name == "less, mean gradients" else 5)
    assert run.costs["similarities"]["seconds"] >= 0
    before = made(run)
    select(opened(recipe, target, METHODS[name]), say=quiet)
    assert made(run) == before, "everything was found"


def test_less_looks_at_every_epoch_of_the_warm_up_with_its_learning_rate(recipe: dict[str, Any], target: Path) -> None:
    run = opened(recipe, target, METHODS["less"])
    select(run, say=quiet)
    ends = warm_up(run, say=quiet).epochs
    assert len(ends) == 2 and ends[0].learning_rate > ends[1].learning_rate > 0
    assert made(run)["gradients"] == 2
    last = opened(recipe, target, {**METHODS["less"], "checkpoints": "last"}, warmup={**WARM, "train": {}})
    assert last.recipe.warmup_train.epochs == 1 and not last.recipe.warmup_train.keep_epochs
    assert opened(recipe, target, METHODS["less"], warmup={}).recipe.warmup_train.epochs == 4


@pytest.mark.parametrize("name", ["less", "rds", "target-match"])
def test_scores_without_features_are_those_with_them_and_nothing_else_is_kept(
    name: str, recipe: dict[str, Any], target: Path, tmp_path: Path
) -> None:
    arrays = {}
    for keep in ("features", "scores"):
        settings = {"extract": {"shard_rows": 8, "keep": keep}, "out": str(tmp_path / keep / "run")}
        run = opened(recipe, target, METHODS[name], **settings)
        features = extract(run, say=quiet)
        assert features is not None
        arrays[keep] = [features[spec] for spec in run.recipe.required]
        assert set(made(run)) & {"gradients", "embeddings"} == (
            set() if keep == "scores" else {"embeddings" if name == "rds" else "gradients"}
        )
    for one, two in zip(arrays["features"], arrays["scores"], strict=True):
        torch.testing.assert_close(one, two, atol=3e-3, rtol=0)


def test_another_target_costs_no_pass_over_the_pool(recipe: dict[str, Any], target: Path, tmp_path: Path) -> None:
    select(opened(recipe, target, METHODS["less"]), say=quiet)
    other, said = write(tmp_path / "other.jsonl", range(56, 58)), list[str]()
    run = opened(recipe, other, METHODS["less"])
    select(run, say=said.append)
    assert made(run)["gradients"] == 2 and made(run)["similarities"] == 2
    assert not any(line.startswith("gradients:") for line in said)
    assert run.inputs.subtasks == ("a", "b")  # no column: the sources


@pytest.mark.parametrize("of", ["head", "linear"])
def test_cheaper_gradients_are_compared_too_and_those_of_the_untuned_model_need_no_warm_up(
    of: str, recipe: dict[str, Any], target: Path
) -> None:
    run = opened(recipe, target, {"name": "target-match", "dim": 256, "of": of, "preconditioner": "none"})
    coreset = select(run, say=quiet)
    assert len(coreset) == 6 and max(coreset.diagnostics["scores"]) <= 1.0
    assert made(run)["gradients"] == 2 and ("warm-up" in run.costs) == (of == "head")


def test_less_can_look_at_the_last_layers_alone(recipe: dict[str, Any], target: Path) -> None:
    run = opened(recipe, target, {**METHODS["less"], "layers": "last-1"}, extract={"shard_rows": 8, "keep": "scores"})
    assert len(select(run, say=quiet)) == 6


def test_target_match_shares_the_gradients_of_brief(recipe: dict[str, Any], target: Path) -> None:
    brief = {"name": "brief", "dim": 256, "preconditioner": "adam", "alpha": 0.5}
    one = opened(recipe, None, brief, out=str(target.parent / "runs" / "brief"))
    select(one, say=quiet)
    assert made(one)["gradients"] == 2
    select(opened(recipe, target, METHODS["target-match"]), say=quiet)
    assert made(one)["gradients"] == 2


def test_subtasks_alone_can_change_what_is_chosen(recipe: dict[str, Any], target: Path, tmp_path: Path) -> None:
    select(opened(recipe, target, METHODS["less"]), say=quiet)
    same = write(tmp_path / "same.jsonl", range(50, 55), subtask=lambda place: "all")
    run = opened(recipe, same, METHODS["less"])
    coreset = select(run, say=quiet)
    assert made(run)["similarities"] == 1 and made(run)["selection"] == 2
    assert coreset.diagnostics["subtasks"] == {"all": 6}


def test_a_target_in_another_format_than_the_pool_is_read_like_any_file(
    recipe: dict[str, Any], target: Path, tmp_path: Path
) -> None:
    turns = [json.loads(line)["messages"] for line in target.read_text().splitlines()]
    names = {"user": "human", "assistant": "gpt"}
    rows = [{"conversations": [{"from": names[t["role"]], "value": t["content"]} for t in each]} for each in turns]
    other = tmp_path / "sharegpt.jsonl"
    other.write_text("".join(json.dumps(row) + "\n" for row in rows))
    chosen = [select(opened(recipe, path, METHODS["rds"]), say=quiet).ids for path in (target, other)]
    assert chosen[0] == chosen[1]


def test_rds_compares_what_the_untuned_model_makes_of_whole_conversations(recipe: dict[str, Any], target: Path) -> None:
    run = opened(recipe, target, METHODS["rds"])
    features = extract(run, say=quiet)
    assert features is not None and "warm-up" not in run.costs
    states = HiddenStates(load_model(run.inputs.base), run.inputs.renderer.pad_token)
    expected = cosines(states.rows(run.inputs.rows), states.rows(run.inputs.target_rows))
    torch.testing.assert_close(features[HiddenSimilaritySpec()], expected, atol=2e-3, rtol=0)


def test_one_line_chooses_for_a_file(recipe: dict[str, Any], target: Path, tmp_path: Path) -> None:
    pool, model = recipe["pool"]["path"], recipe["model"]["path"]
    command = ["select", pool, "--model", model, "--method", "bm25", "--target", str(target), "--budget", "5"]
    done = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert len(Coreset.load(tmp_path / "out")) == 5
    assert "target: 5 examples" in done.output


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"method": METHODS["less"]},
            r"target is missing: less looks at a second set .* --target FILE\), or take another",
        ),
        (
            {"target": {"path": "t"}},
            r"target is set, but brief does not look at it.* So do bm25, dsir, less, rds, target-match",
        ),
        ({"extract": {"keep": "scores"}}, r"extract.keep is 'scores', but brief looks at more than similarities"),
        (
            {"method": METHODS["less"], "target": {"path": "t"}, "warmup": {"train": {"keep_epochs": False}}},
            r"warmup.train.keep_epochs is false, but less looks at the end of every epoch. Leave it out",
        ),
        ({"existing": {"path": "e", "subtask": "s"}}, r"existing.subtask: no such setting"),
    ],
)
def test_settings_that_do_not_go_with_a_target_are_refused(
    recipe: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        resolve({**recipe, **changes})


def refused(recipe: dict[str, Any], path: Path, message: str, method: str = "bm25", **settings: Any) -> None:
    out, beside = str(path.parent / "runs" / "x"), {"target": {"path": str(path), **settings}}
    run = opened({**recipe, **beside}, None, METHODS[method], out=out)
    with pytest.raises(DataError, match=message):
        select(run, say=quiet)
    assert not run.settings_file.exists(), "nothing half-done"


def test_an_empty_target_is_refused(recipe: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text("")
    refused(recipe, tmp_path / "t.jsonl", r"t.jsonl: the file is empty")


def test_a_target_of_no_known_format_is_refused(recipe: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"text": "alone"}\n')
    refused(recipe, tmp_path / "t.jsonl", r"t.jsonl.*columns 'text' fit no known format")


@pytest.mark.parametrize("method", METHODS)
def test_a_target_that_is_the_pool_is_refused(method: str, recipe: dict[str, Any], tmp_path: Path) -> None:
    same = write(tmp_path / "t.jsonl", range(40))
    refused(recipe, same, r"all 34 examples that could be chosen are in .*t.jsonl, so being like .* tells none", method)


def test_labels_that_no_row_has_are_refused(recipe: dict[str, Any], target: Path) -> None:
    refused(recipe, target, r"target.sources: no example of .* is of 'c'. Its sources are 'a', 'b'", sources=["a", "c"])
    refused(
        recipe,
        target,
        r"target.subtask is 'topic', but no row of .* has that column. The first row has ",
        subtask="topic",
    )


@pytest.mark.parametrize("bad", ["", None, 1.5, True])
def test_a_row_without_a_usable_subtask_is_refused_by_id(bad: Any, recipe: dict[str, Any], tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", range(50, 53), subtask=lambda place: bad if place == 51 else "x")
    refused(recipe, path, r"the 'subtask' of example e51 is .*. Name the sub-task of every target example")


def test_a_target_example_that_is_too_long_is_refused_where_tokens_count(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    rows = [{"instruction": f"Say {n}", "output": "word " * (200 if n == 1 else 2), "id": f"t{n}"} for n in range(3)]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    refused(recipe, path, r"target: 1 of 3 examples are longer than pool.max_tokens=256: 't1'. Raise", "rds")
    assert len(select(opened(recipe, path, METHODS["bm25"]), say=quiet)) == 6


def test_a_target_example_that_cannot_be_rendered_is_refused_where_bad_rows_may_be_skipped_too(
    recipe: dict[str, Any], target: Path, tmp_path: Path
) -> None:
    fussy = "{% if 'Question 51' in messages[0].content %}{{ raise_exception('no 51') }}{% endif %}" + tiny.LLAMA3
    (tmp_path / "fussy.jinja").write_text(fussy)
    own = {"model": {**recipe["model"], "template": str(tmp_path / "fussy.jinja")}}
    own |= {"pool": {**recipe["pool"], "skip_bad_rows": True}}
    refused({**recipe, **own}, target, r"target: 1 of 5 examples cannot be rendered, the first 'e51': .*no 51", "rds")


def test_a_spec_names_what_it_compares() -> None:
    assert GradientSimilaritySpec(loss="following").target_gradients.loss == "following"
