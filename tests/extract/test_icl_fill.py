"""Filling a kernel: only what is missing, byte-identical after a kill and for any number of processes."""

import hashlib
from pathlib import Path
from typing import Any

import apart
import pytest
import tiny
import torch

from coresift.data.pool import Pool
from coresift.errors import FeatureError
from coresift.extract.icl import UtilityScorer
from coresift.extract.icl_fill import fill_kernel
from coresift.features.kernels import KernelArray, rows_by_example

POOL = tiny.pool(6)


def scorer(**settings: Any) -> UtilityScorer:
    return UtilityScorer(tiny.model(), tiny.tokenizer(), **settings)


def array_for(folder: Path, examples: Pool = POOL, rows: Pool = POOL, **settings: Any) -> KernelArray:
    return KernelArray(folder, identity={"pool": "p"}, examples=examples.ids, rows=rows.ids, **settings)


def bytes_of(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_filled_kernel_holds_the_utilities_and_is_left_alone(tmp_path: Path) -> None:
    rows = POOL.take([4, 1, 2])
    array = array_for(tmp_path, rows=rows, shard_columns=4)
    said: list[str] = []
    accounts: list[dict[str, float]] = []
    used = scorer()
    cost = fill_kernel(used, array, POOL, rows, say=said.append, account=lambda **facts: accounts.append(facts))
    assert torch.equal(array.read(), scorer().columns(POOL, rows))
    assert said == ["utilities: 18 pairs of 6 examples and 3 rows, 2 of 2 shards to compute"]
    assert cost.shards == len(accounts) == 2 and cost.tokens == sum(facts["tokens"] for facts in accounts) > 0
    assert cost.flops == pytest.approx(sum(facts["flops"] for facts in accounts))
    again = fill_kernel(used, array_for(tmp_path, rows=rows, shard_columns=4), POOL, rows, say=said.append)
    assert (again.shards, again.tokens, len(said)) == (0, 0, 1)


def test_chosen_pairs_have_the_utilities_of_all_pairs(tmp_path: Path) -> None:
    pairs = rows_by_example(torch.tensor([[0, 3], [1, 3], [0, 5], [2, 3], [4, 5], [1, 5]]), 6)
    array = array_for(tmp_path, pairs=pairs)
    fill_kernel(scorer(), array, POOL, POOL)
    found, whole = array.read().to_dense(), scorer().columns(POOL, POOL)
    assert float((found - whole.where(found != 0, 0.0)).abs().max()) < 1e-6 and int((found != 0).sum()) == 12


def test_what_did_not_go_through_is_counted_in_the_kernel_and_said(tmp_path: Path) -> None:
    used, said = scorer(max_tokens=130), []
    array = array_for(tmp_path)
    fill_kernel(used, array, POOL, POOL, say=said.append)
    assert array.counts() == (used.counts.shortened, used.counts.unscorable) and sum(array.counts()) > 0
    assert said[-1] == (
        f"utilities: {used.counts.shortened} pairs with a shortened example, {used.counts.unscorable} that could not "
        "be scored and count as 0 (limit 130 tokens)"
    )


def test_other_examples_than_the_kernels_are_refused(tmp_path: Path) -> None:
    array = array_for(tmp_path)
    with pytest.raises(FeatureError, match=r"the kernel is of 6 other examples \(given: 5\)"):
        fill_kernel(scorer(), array, POOL.take(range(5)), POOL)
    with pytest.raises(FeatureError, match=r"the kernel is of 6 other rows \(given: 6\)"):
        fill_kernel(scorer(), array, POOL, POOL[::-1])


@pytest.mark.parametrize("share", [(2, 2), (-1, 2)])
def test_a_share_that_is_none_is_refused(tmp_path: Path, share: tuple[int, int]) -> None:
    with pytest.raises(FeatureError, match=r"counts from 0 and must be below the second"):
        fill_kernel(scorer(), array_for(tmp_path), POOL, POOL, share=share)


FILLING = """
import sys
from pathlib import Path
import tiny, torch
from test_icl_fill import fill

torch.set_num_threads(1)
print("computed", fill(Path(sys.argv[1]), int(sys.argv[2])), flush=True)
"""


def fill(folder: Path, half: int | None = None) -> int:
    """Fill a kernel of 24 x 24, one column per shard, or half of it; how many shards were computed."""
    pool = tiny.pool(24)
    array = array_for(folder, pool, pool, shard_columns=1)
    return fill_kernel(scorer(), array, pool, pool, share=(0, 1) if half is None else (half, 2)).shards


def test_kills_and_several_processes_end_byte_identical(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert fill(tmp_path / "whole") == 24
    finally:
        torch.set_num_threads(threads)
    folder, said = tmp_path / "parts", tmp_path / "said.txt"
    killed, other = apart.start(FILLING, folder, 0), apart.start(FILLING, folder, 1)
    apart.until(lambda: sum(int(file.name[8:15]) % 2 == 0 for file in folder.glob("*.sha256")) >= 3, killed)
    apart.kill(killed)
    assert apart.code_of(other) == 0
    assert apart.code_of(apart.start(FILLING, folder, 0, said=said)) == 0
    assert 0 < int(said.read_text().split()[-1]) <= 12 - 3
    expected = bytes_of(tmp_path / "whole")
    assert len(expected) == 2 * 24 + 1 and bytes_of(folder) == expected
