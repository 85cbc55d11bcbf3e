"""The benchmark of LEAD's policy at a small size: a whole run, and a state of at most 16 bytes per example."""

import json
from pathlib import Path

import tiny


def test_a_round_of_the_policy_is_timed_over_a_whole_run(bench, tmp_path: Path) -> None:
    asked = ("--parts", "policy", "--n", 4000, "--budget", 200)
    answer = bench("lead", *asked, "--json", tmp_path / "found.json")
    assert answer.code == 0, answer.err
    (table,) = json.loads((tmp_path / "found.json").read_text())["tables"]
    both, propose, observe = table["rows"]
    assert len(both["seconds"]) == both["rounds"]
    assert propose["median"] <= max(both["seconds"]) and observe["median"] <= max(both["seconds"])
    assert 15 <= both["state_bytes_per_example"] <= 16
    assert 1 < both["rounds"] <= 20 and both["examples_per_round"] > 1


def test_a_step_is_timed_with_every_trainer_in_one_run(bench, tmp_path: Path) -> None:
    asked = ("--parts", "steps", "--steps", 4, "--batch", 2, "--repeats", 1)
    answer = bench("lead", *asked, "--json", tmp_path / "found.json")
    assert answer.code == 0, answer.err
    (table,) = json.loads((tmp_path / "found.json").read_text())["tables"]
    names = [row["name"].removeprefix("in rounds, delta ") for row in table["rows"]]
    assert names == ["SFTTrainer", "weighted", "none", "paper", "first-order"]
    assert all(row["median"] > 0 and row["ratio"] > 0 for row in table["rows"])
    assert "{" not in answer.out, "the trainers say nothing"


def test_another_model_is_timed_on_rows_of_one_length(bench, tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model")
    asked = ("--parts", "steps", "--steps", 3, "--batch", 2, "--repeats", 1, "--model", folder, "--tokens", 16)
    answer = bench("lead", *asked)
    assert answer.code == 0, answer.err
    assert f"LoRA of rank 64 on {folder}" in answer.out


def test_an_unknown_part_is_refused(bench) -> None:
    answer = bench("lead", "--parts", "training-free")
    assert answer.code == 2 and "training-free" in answer.err
