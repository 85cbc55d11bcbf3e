"""The benchmark of utilities at a tiny size: both ways agree, the cost model is printed beside the measurement."""

import json
from pathlib import Path

import pytest

TINY = ("--hidden", 64, "--layers", 1, "--vocabulary", 256, "--repeats", 2, "--rows", 6, "--naive-rows", 3)


def test_pairs_per_second_stand_beside_the_cost_model(bench, tmp_path: Path) -> None:
    answer = bench("icl", *TINY, "--lengths", "20/6/12", "80/6/12", "--json", tmp_path / "found.json")
    assert answer.code == 0, answer.err
    short, long = json.loads((tmp_path / "found.json").read_text())["tables"]
    for table, lengths in ((short, "20/6/12"), (long, "80/6/12")):
        whole, shared = table["rows"]
        assert lengths in table["title"] and len(whole["seconds"]) == len(shared["seconds"]) == 2
        assert whole["pairs_per_second"] == pytest.approx(3 / min(whole["seconds"]))
        assert shared["pairs_per_second"] == pytest.approx(6 / min(shared["seconds"]))
        assert any("the cost model says" in note for note in table["notes"])
        difference = next(note for note in table["notes"] if "largest difference" in note)
        assert float(difference.split(":")[1].split()[0]) < 1e-4
    modelled = [table["rows"][0]["GFLOP_per_pair"] / table["rows"][1]["GFLOP_per_pair"] for table in (short, long)]
    assert modelled[1] > modelled[0] > 1.0


@pytest.mark.parametrize("lengths", ["200/60", "200/60/0", "a/b/c"])
def test_lengths_are_three_whole_numbers(bench, lengths: str) -> None:
    answer = bench("icl", "--lengths", lengths)
    assert answer.code == 2 and "--lengths" in answer.err
