"""How far a certificate comes, on synthetic rows and on what a run has stored."""

import json
from pathlib import Path

import pytest
import torch

from coresift.features.store import FeatureArray


def stored(run: Path, *spaces: str) -> None:
    source = torch.Generator().manual_seed(5)
    for space in spaces:
        identity = {"pool": "made up", "space": space}
        array = FeatureArray(
            run / "features" / f"{space}-1234", identity=identity, ids=[str(i) for i in range(90)], shard_rows=40
        )
        for rows in array.shards:
            array.write(rows, torch.randn(len(rows), 6, generator=source))


def test_the_gap_never_widens_with_more_steps(bench, tmp_path: Path) -> None:
    answer = bench("certificate", "--n", 200, "--dim", 8, "--json", tmp_path / "found.json")
    assert answer.code == 0, answer.err
    rows = json.loads((tmp_path / "found.json").read_text())["tables"][0]["rows"]
    gaps = [row["gap_%"] for row in rows]
    assert [row["name"] for row in rows][-1] == "2000 steps, every pair" and len(gaps) == 6
    assert gaps == sorted(gaps, reverse=True) and gaps[0] > gaps[-1] >= 0.0


def test_a_run_is_measured_on_its_own_gradients(bench, tmp_path: Path) -> None:
    stored(tmp_path / "kept", "knowledge", "following")
    answer = bench("certificate", "--run", tmp_path / "kept", "--budget", "10%", "--alpha", "0.3")
    assert answer.code == 0, answer.err
    assert "certificate, kept, n 90, 9 picks, alpha 0.3" in answer.out


@pytest.mark.parametrize("there", [(), ("knowledge",)])
def test_a_run_without_both_spaces_is_refused(bench, tmp_path: Path, there: tuple[str, ...]) -> None:
    stored(tmp_path, *there)
    answer = bench("certificate", "--run", tmp_path)
    missing = "following" if there else "knowledge"
    assert answer.code == 2 and f"0 folders of {missing} gradients. Name a run of one method" in answer.err


def test_a_run_that_does_not_exist_is_refused_as_such(bench, tmp_path: Path) -> None:
    answer = bench("certificate", "--run", tmp_path / "nowhere")
    assert answer.code == 2 and "nowhere: no such folder. Name the folder of a finished run" in answer.err
