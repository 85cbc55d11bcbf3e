"""Every verb: exit 0 with an answer, or 2 with a message, no traceback, and nothing left half-done."""

import json
import os
import shutil
import signal
from pathlib import Path

import apart
import jsonschema
import numpy as np
import pytest
import tiny
import typer
import yaml

from coresift.coreset import Coreset

SMALL = ("method.dim=32", "warmup.train={lora: {rank: 2, alpha: 4}, epochs: 1, batch_size: 4, micro_batch_size: 4}")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    tiny.save(folder / "model")
    rows = [{"q": f"What is {n} plus {n}?", "a": f"It is {2 * n}."} for n in range(24)]
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def selected(files: Path) -> Path:
    """The folder that the one-liner leaves."""
    from coresift.cli.main import run_command

    arguments = ["select", files / "pool.jsonl", "--model", files / "model", "--budget", "25%", "--out", files / "out"]
    arguments += [
        "--map",
        "instruction=q",
        "--map",
        "response=a",
        *[part for value in SMALL for part in ("--set", value)],
    ]
    assert run_command([str(argument) for argument in arguments]) == 0
    return files / "out"


def test_the_one_liner_leaves_a_coreset_and_a_page_and_no_final_model(selected: Path) -> None:
    coreset = Coreset.load(selected)
    lines = [json.loads(line) for line in (selected / "coreset.jsonl").read_text().splitlines()]
    assert len(coreset) == len(lines) == 6
    assert all(set(line) == {"q", "a", "coresift_id", "coresift_weight"} for line in lines)
    assert np.isclose(coreset.weights.sum(), 24)
    assert (selected / "report" / "index.html").exists() and not (selected / "final").exists()


def test_inspect_says_what_each_thing_is(coresift, selected: Path, files: Path, tmp_path: Path) -> None:
    for path, words in (
        (selected, ["run ", "method: brief", "examples: 6 of 24", "certificate", "page:"]),
        (selected / "features", ["feature store", "shards: 1 of 1", "knowledge-none-32"]),
        (next((selected / "features").iterdir()), ["feature store", "rows: 24"]),
        (files / "pool.jsonl", ["pool "]),
    ):
        if path.suffix == ".jsonl":
            path = tmp_path / "pool.jsonl"
            path.write_text(json.dumps({"instruction": "i", "output": "o", "source": "s"}) + "\n")
        answer = coresift("inspect", path)
        assert answer.code == 0, answer.err
        assert [word for word in words if word not in answer.out] == []


def test_inspect_names_what_it_cannot_read(coresift, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    answer = coresift("inspect", tmp_path)
    assert answer.code == 2 and "not a manifest of a feature store" in answer.err
    assert coresift("inspect", tmp_path / "nothing.jsonl").code == 2


def test_schema_prints_a_json_schema(coresift) -> None:
    schema = json.loads(coresift("schema").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert "budget" in schema["properties"]


def test_merge_writes_a_model_folder_once(coresift, selected: Path, files: Path, tmp_path: Path) -> None:
    arguments = ("merge", selected / "warmup" / "adapter", "--model", files / "model", "--out", tmp_path / "merged")
    assert coresift(*arguments).code == 0
    assert (tmp_path / "merged" / "model.safetensors").exists()
    again = coresift(*arguments)
    assert again.code == 2 and "exists already" in again.err


def test_merge_refuses_another_base_and_damaged_weights(coresift, selected: Path, files: Path, tmp_path: Path) -> None:
    other, trained = tiny.save(tmp_path / "other", seed=5), tmp_path / "trained"
    arguments = ("merge", selected / "warmup" / "adapter", "--model", other, "--out", tmp_path / "merged")
    refused = coresift(*arguments)
    assert refused.code == 2 and "was trained on a model with the fingerprint" in refused.err
    assert coresift(*arguments, "--force").code == 0
    shutil.copytree(selected / "warmup", trained)
    weights = trained / "adapter" / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    damaged = coresift("merge", trained / "adapter", "--model", files / "model", "--out", tmp_path / "never")
    assert damaged.code == 2 and "not the file that training wrote" in damaged.err and not (tmp_path / "never").exists()


def test_one_stage_of_a_recipe_can_be_run_alone_and_again(coresift, files: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    columns = {"instruction": "q", "response": "a"}
    values = {
        "name": "stage",
        "out": str(tmp_path / "run"),
        "pool": {"path": str(files / "pool.jsonl"), "columns": columns},
        "model": {"path": str(files / "model")},
        "method": {"name": "random"},
    }
    recipe.write_text(yaml.safe_dump(values))
    first = coresift("select", recipe)
    assert first.code == 0 and "selection: 1 of 23 examples by random" in first.out
    assert "selection:" not in coresift("select", recipe).out
    assert coresift("warmup", recipe).code == 0 and not (tmp_path / "run" / "warmup").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "no-such-recipe"], "no such recipe file"),
        (["run", "brief-small"], "pool.path: missing"),
        (["run", "brief-small", "--set", "pool.path=missing.jsonl"], "missing.jsonl"),
        (["select", "POOL", "--model", "MODEL"], "--out is missing"),
        (["select", "POOL", "--out", "OUT"], "--model is missing"),
        (["select", "POOL", "--model", "MODEL", "--out", "OUT", "--map", "response"], "not of the form role=column"),
        (["select", "POOL", "--model", "no/model here", "--out", "OUT"], "no/model here"),
        (["select", "POOL", "--model", "MODEL", "--out", "OUT", "--budget", "half"], "budget 'half' is not understood"),
        (["select", "POOL", "--model", "MODEL", "--out", "OUT", "--budget", "25"], "the pool has 24 examples"),
        (["select", "POOL", "--model", "MODEL", "--out", "OUT", "--method", "magic"], "method.name is 'magic'"),
        (["select", "POOL", "--model", "MODEL", "--out", "OUT", "--method", "brif"], "Did you mean 'brief'?"),
        (
            ["select", "POOL", "--model", "MODEL", "--out", "OUT", "--method", "lead"],
            "coresift run lead-small --set pool",
        ),
        (["run", "brief-small", "--set", "method.name=crag"], "Did you mean 'craig'?"),
        (["select", "r.yaml", "--out", "OUT"], "go with a pool"),
        (["select", "POOL", "--model", "MODEL", "--out", "OUT", "--stage", "task"], "brief has no such setting"),
        (["select", "POOL", "--model", "MODEL", "--out", "OUT", "--target", "POOL"], "brief does not look at it"),
        (["select", "delift", "--stage", "task"], "target is missing: delift in stage task"),
        (["select", "delift", "--stage", "continual"], "(or --existing FILE)"),
        (["selcet", "POOL"], "No such command 'selcet'"),
        (["run"], "Missing argument"),
        (["run", "demo", "--sett", "a=b"], "No such option"),
    ],
)
def test_what_the_user_can_fix_is_a_message_and_exit_code_2(
    coresift, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"POOL": str(files / "pool.jsonl"), "MODEL": str(files / "model"), "OUT": str(tmp_path / "out")}
    mapped = ["--map", "instruction=q", "--map", "response=a"] if "--model" in arguments else []
    given = [] if "--map" in arguments else mapped
    answer = coresift(*[names.get(part, part) for part in arguments], *given)
    assert answer.code == 2
    assert message in answer.err and "Traceback" not in answer.err
    left = [path.name for path in tmp_path.iterdir()]
    assert left in ([], [".store"]), "nothing half-done; what was rendered is kept for the next command"


def test_a_broken_row_is_named_by_file_and_record(coresift, files: Path, tmp_path: Path) -> None:
    pool = tmp_path / "broken.jsonl"
    pool.write_text('{"instruction": "a", "output": "b"}\n{"instruction": "a", "output": ""}\n')
    answer = coresift("select", pool, "--model", files / "model", "--out", tmp_path / "out")
    assert answer.code == 2 and "broken.jsonl" in answer.err and "2" in answer.err and "--skip-bad-rows" in answer.err
    assert not (tmp_path / "out").exists()


def test_the_version_is_printed(coresift) -> None:
    from coresift import __version__

    answer = coresift("--version")
    assert (answer.code, answer.out.strip()) == (0, __version__)


def test_an_output_path_that_is_a_file_is_a_message(coresift, files: Path, tmp_path: Path) -> None:
    target = tmp_path / "afile"
    target.write_text("mine")
    columns = ("--map", "instruction=q", "--map", "response=a")
    answer = coresift("select", files / "pool.jsonl", "--model", files / "model", "--out", target, *columns)
    assert answer.code == 2 and "afile is a file, and a run needs a folder. Name a new one (--out" in answer.err
    assert target.read_text() == "mine"


def test_repeated_budgets_are_nested_coresets(coresift, files: Path, tmp_path: Path) -> None:
    columns = ("--map", "instruction=q", "--map", "response=a")
    out = tmp_path / "out"
    arguments = ("--budget", "3", "--budget", "6", "--method", "random", "--out", out)
    answer = coresift("select", files / "pool.jsonl", "--model", files / "model", *arguments, *columns)
    assert answer.code == 0, answer.err
    assert Coreset.load(out).ids[:3] == Coreset.load(out / "budgets" / "3").ids


@pytest.mark.parametrize(("stage", "beside"), [("task", "--target"), ("continual", "--existing")])
def test_stage_and_second_set_have_options_of_their_own(
    coresift, files: Path, tmp_path: Path, stage: str, beside: str
) -> None:
    other, out = tmp_path / "another: set.jsonl", tmp_path / "out"
    other.write_text(json.dumps({"instruction": "What is 30 plus 3?", "output": "It is 33."}) + "\n")
    columns = ("--map", "instruction=q", "--map", "response=a", "--set", "pool.examples=6", "--set", "method.nu=0.1")
    arguments = ("--method", "delift", "--stage", stage, beside, other, "--budget", "2", "--out", out)
    answer = coresift("select", files / "pool.jsonl", "--model", files / "model", *arguments, *columns)
    assert answer.code == 0, answer.err
    coreset = Coreset.load(out)
    assert coreset.provenance["settings"]["stage"] == stage and beside.strip("-") in coreset.provenance["fingerprints"]
    told = coresift("inspect", out / "features").out
    assert told.count("utilities ") == 2 and "shards: 1 of 1" in told and "count: 6" in told


def test_a_shipped_recipe_is_known_by_name_to_every_verb(coresift) -> None:
    answer = coresift("select", "brief-small")
    assert answer.code == 2 and "pool.path: missing" in answer.err


def test_inspect_knows_a_training_run_and_a_coreset_file(coresift, selected: Path) -> None:
    assert "training run" in coresift("inspect", selected / "warmup").out
    assert "method: brief" in coresift("inspect", selected / "coreset.json").out


@pytest.mark.parametrize("verb", [("run", "demo"), ("select", "world", "--model", "world", "--out", "never-made")])
def test_memory_without_a_unit_is_explained(coresift, verb: tuple[str, ...]) -> None:
    answer = coresift(*verb, "--memory", "3")
    assert answer.code == 2 and "memory is '3'. Give an amount with its unit, such as 3GB" in answer.err
    assert not Path("never-made").exists()


def test_only_methods_that_choose_once_are_offered_for_select(coresift, tmp_path: Path) -> None:
    from coresift.online import POLICIES
    from coresift.selectors import SELECTORS

    told = coresift("select", "world", "--model", "world", "--out", tmp_path / "out", "--method", "magic").err
    offered = told.split("Known methods: ")[1].strip().rstrip(".").split(", ")
    assert set(offered) == set(SELECTORS) and set(offered).isdisjoint(POLICIES)


@pytest.mark.parametrize("end", [KeyboardInterrupt, typer.Abort])
def test_an_interrupted_command_says_so_and_is_no_success(
    coresift, monkeypatch: pytest.MonkeyPatch, end: type[BaseException]
) -> None:
    def interrupted() -> str:
        raise end

    monkeypatch.setattr("coresift.bench.entry.listing", interrupted)
    answer = coresift("bench")
    assert answer.code == 130 and answer.err == "interrupted: run the same command again to go on from here\n"


def test_ctrl_c_ends_a_selection_with_code_130(files: Path, tmp_path: Path) -> None:
    # Shells start what runs in their background with SIGINT ignored; Ctrl-C reaches only what is not.
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program += "from coresift.cli.main import main; main()"
    arguments = ("select", "world", "--model", "world", "--out", tmp_path / "out")
    process = apart.start(program, *arguments, said=tmp_path / "said.txt")
    apart.until((tmp_path / "out" / "settings.yaml").exists, process)
    os.kill(process.pid or 0, signal.SIGINT)
    assert apart.code_of(process) == 130
    assert (tmp_path / "said.txt").read_text().endswith("interrupted: run the same command again to go on from here\n")


def test_names_from_a_file_cannot_steer_the_terminal(coresift, tmp_path: Path) -> None:
    pool = tmp_path / "pool.jsonl"
    row = {"instruction": "What?", "output": "That.", "source": "\x1b[31mred\x1b]0;title\x07\u202etxt"}
    pool.write_text(json.dumps(row) + "\n")
    answer = coresift("inspect", pool)
    assert answer.code == 0 and "\\x1b[31mred\\x1b]0;title\\x07\\u202etxt" in answer.out
    evil = coresift("inspect", tmp_path / "no\x1b[2Jfile.jsonl")
    assert evil.code == 2 and not {"\x1b", "\x07", "\u202e"} & {*answer.out, *evil.err}
