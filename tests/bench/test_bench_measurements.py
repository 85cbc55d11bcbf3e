
"""Every benchmark end to end at a tiny size: what is printed, what is kept, and that the answers agree."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch

from coresift.bench import peers, pools
from coresift.bench.timing import Row, Table, show, timed
from coresift.submodular.cover.greedy import cover
from coresift.submodular.distances.stored import pairwise

ROOT = Path(__file__).resolve().parents[2]
TINY = ("--n", 60, "--dim", 8)


def test_selection_reaches_the_objective_of_the_published_loop_and_keeps_every_repeat(bench, tmp_path: Path) -> None:
    answer = bench("selection", *TINY, "--alphas", 3, "--repeats", 2, "--json", tmp_path / "found.json")
    assert answer.code == 0, answer.err
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["bench"] == "selection" and found["arguments"]["n"] == 60 and found["arguments"]["alphas"] == 3
    assert found["machine"]["float32_gflops"] > 0 and found["machine"]["torch"] == torch.__version__
    assert {"cpus", "threads", "processor"} <= set(found["machine"])
    search, greedy = found["tables"]
    names = [[row["name"].split(",")[0] for row in table["rows"]] for table in (search, greedy)]
    assert names == [["coresift"] * 2 + ["published loop"], ["coresift"] * 3 + ["heap"]]
    for table in (search, greedy):
        here, *others = table["rows"]
        assert here["ratio"] == 1.0
        for there in others:
            assert len(here["seconds"]) == len(there["seconds"]) == 2
            assert here["objective"] == pytest.approx(there["objective"], rel=1e-3)
    assert "GFLOP/s" in answer.out and "published loop" in answer.out and "certificate" in answer.out


def test_alphas_that_were_not_timed_are_scaled_and_said(bench, tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    answer = bench("selection", *TINY, "--alphas", 3, "--published-alphas", 1, "--repeats", 1, "--json", file)
    assert answer.code == 0, answer.err
    assert "published loop: 1 of 3 alphas timed, seconds x 3.00" in answer.out


def test_peers_that_are_missing_are_named_with_what_installs_them(bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    answer = bench("selection", *TINY, "--alphas", 2, "--repeats", 1, "--peers")
    assert answer.code == 0, answer.err
    for package in ("submodlib-py", "apricot-select"):
        assert f"{package} is not installed, so it was not measured: pip install 'coresift[bench]'" in answer.out


def test_the_extra_of_that_name_holds_every_peer() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    held = {re.split(r"[<>=;\s]", each)[0]: each for each in extras["bench"]}
    assert set(held) == {package for _, package, _ in peers.PEERS.values()}
    assert {package for package, each in held.items() if ";" in each} == set(peers.ONLY)


@pytest.mark.parametrize("name", peers.PEERS)
def test_an_installed_peer_picks_as_well_as_we_do(name: str) -> None:
    module, _, greedy = peers.PEERS[name]
    pytest.importorskip(module)
    space = pairwise(pools.spaces(60, 8)[0])
    distances = (space.rows(slice(0, 60)) * space.step).float()
    best = float(distances[cover(space, 5).order].amin(dim=0).sum())
    assert float(distances[greedy(distances, 5)].amin(dim=0).sum()) == pytest.approx(best, rel=1e-3)


def test_an_installed_peer_stands_in_the_table(bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "PEERS", {"a peer": ("json", "json-package", peers.heap_greedy)})
    answer = bench("selection", *TINY, "--alphas", 2, "--repeats", 1, "--peers")
    assert answer.code == 0 and "a peer" in answer.out and "not installed" not in answer.out


def test_memory_says_what_a_whole_selection_took(bench, tmp_path: Path) -> None:
    answer = bench("memory", *TINY, "--norms", "unit", "--json", tmp_path / "found.json")
    assert answer.code == 0, answer.err
    (row,) = json.loads((tmp_path / "found.json").read_text())["tables"][0]["rows"]
    assert row["picks"] == 3 and row["alphas"] > 3 and 0.0 <= row["gap"] <= 1.0 and 0.0 <= row["alpha"] <= 1.0
    assert row["peak_GiB"] >= row["GiB_before"] > 0.01 and len(row["seconds"]) == 1


def test_two_rounds_are_told_with_what_they_lose_against_greedy_on_the_whole_pool(bench, tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    answer = bench("partition", "--n", 400, "--dim", 8, "--parts", "1,5", "--oversample", "1,4", "--json", file)
    assert answer.code == 0, answer.err
    (table,) = json.loads(file.read_text())["tables"]
    rows = {row["name"]: row for row in table["rows"]}
    whole, chance = rows.pop("whole pool at once"), rows.pop("random, mean of 10")
    assert list(rows) == [f"{parts} parts, oversample {times}" for parts in (1, 5) for times in (1, 4)]
    assert [row["candidates"] for row in rows.values()] == [20, 80, 20, 80]
    for row in (*rows.values(), chance):
        assert row["loss_percent"] == pytest.approx(100 * (row["objective"] / whole["objective"] - 1))
    for row in rows.values():
        assert row["seconds"][0] >= row["round_1_s"] + row["round_2_s"] >= row["slowest_part_s"] + row["round_2_s"]
    # One part is the whole pool; with five, more candidates lose less, and both less than chance.
    assert rows["1 parts, oversample 1"]["loss_percent"] == pytest.approx(0.0, abs=1e-4)
    more, less = rows["5 parts, oversample 4"], rows["5 parts, oversample 1"]
    assert whole["objective"] < more["objective"] < less["objective"] < chance["objective"]
    assert "loss percent" in answer.out and "20 picks of 400" in answer.out


def test_the_pool_has_the_norms_asked_for() -> None:
    heavy, unit = pools.spaces(200, 16)[0], pools.spaces(200, 16, "unit")[0]
    torch.testing.assert_close(unit.norm(dim=1), torch.ones(200))
    torch.testing.assert_close(heavy / heavy.norm(dim=1, keepdim=True), unit)
    assert float(heavy.norm(dim=1).max() / heavy.norm(dim=1).min()) > 4.0
    assert not torch.equal(pools.spaces(200, 16, seed=1)[0], heavy)


def test_the_peak_of_a_process_grows_with_what_it_holds() -> None:
    code = "from coresift.bench.machine import peak_gib; before = peak_gib(); held = bytearray(1 << 28); "
    asked = [sys.executable, "-c", code + "held[::4096] = bytes(1 << 16); print(peak_gib() - before)"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert float(done.stdout) > 0.1


def test_timed_keeps_every_repeat_but_not_the_run_that_warms_up() -> None:
    calls: list[int] = []
    row = timed("work", lambda: calls.append(1), 3, warm=True)
    assert len(calls) == 4 and len(row.seconds) == 3


def test_a_table_reads_as_ratios_to_its_first_row() -> None:
    table = Table("title", (Row("here", (1.0, 3.0, 2.0), {"peak_GiB": 0.5}), Row("there", (4.0,))), ("a note",))
    title, heading, here, there, note = show(table).splitlines()
    assert heading.split() == ["seconds", "[least,", "most]", "ratio", "peak", "GiB"]
    assert here.split() == ["here", "2", "[1,", "3]", "1.00", "0.5"] and there.split()[-1] == "2.00"
    assert (title, note) == ("title", "  a note")
    assert Table("t", (Row("too short", (0.0,)),)).plain["rows"][0]["ratio"] is None


def test_a_cover_without_a_matrix_is_told_in_passes_of_products(bench) -> None:
    answer = bench("memory", "--n", 60, "--dim", 8, "--memory", "1GB", "--cover")
    assert answer.code == 0, answer.err
    assert "cover alone, n 60, d 8, alpha 0.5" in answer.out and " passes" in answer.out
