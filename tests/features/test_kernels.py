"""The kernel store: whole or absent, checksummed, refused when it is of something else, dense or for chosen pairs."""

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from coresift.errors import FeatureError
from coresift.features.kernels import PAIRS_PER_SHARD, KernelArray, rows_by_example

EXAMPLES = tuple(f"e{place}" for place in range(7))
ROWS = tuple(f"r{place}" for place in range(5))
PAIRS = [[0, 2], [], [1, 3, 4], [0], [0, 1, 2, 3, 4], [4], [2]]
IDENTITY = {"pool": "p1", "model": "m1"}


def kernel(folder: Path, **changes: Any) -> KernelArray:
    given = {"identity": IDENTITY, "examples": EXAMPLES, "rows": ROWS, "shard_columns": 3, **changes}
    return KernelArray(folder, **given)


def values() -> torch.Tensor:
    return torch.randn(7, 5, generator=torch.Generator().manual_seed(0))


def fill(folder: Path, utilities: torch.Tensor | None = None, **changes: Any) -> KernelArray:
    array, utilities = kernel(folder, **changes), values() if utilities is None else utilities
    for shard in array.missing():
        columns = [utilities[e] if array.pairs is None else utilities[e, array.pairs[e]] for e in shard]
        array.write(shard, columns, [(e, 1) for e in shard])
    return array


def bytes_of(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_utilities_come_back_exactly_with_their_counts(tmp_path: Path) -> None:
    array = fill(tmp_path)
    assert torch.equal(array.read(), values()) and array.counts() == (21, 7)
    assert torch.equal(kernel(tmp_path).read(), values())


def test_chosen_pairs_come_back_as_a_sparse_array(tmp_path: Path) -> None:
    found = fill(tmp_path, pairs=PAIRS).read()
    expected = torch.zeros(7, 5)
    for example, rows in enumerate(PAIRS):
        expected[example, rows] = values()[example, rows]
    assert found.layout == torch.sparse_csr and found.values().numel() == 13
    assert torch.equal(found.to_dense(), expected)


def test_pairs_follow_from_the_candidates_of_every_row() -> None:
    assert rows_by_example(torch.tensor([[0, 2], [2, 3], [0, 3]]), 5) == [[0, 2], [], [0, 1], [1, 2], []]


def test_shards_hold_about_the_pairs_that_a_kill_may_lose() -> None:
    rows = [f"r{row}" for row in range(2000)]
    array = KernelArray(Path("nowhere"), identity={}, examples=rows, rows=rows)
    assert array.n_pairs == 4_000_000 and array.shard_columns * 2000 <= PAIRS_PER_SHARD < 3 * 2000
    assert KernelArray(Path("nowhere"), identity={}, examples=["e"], rows=rows * 10).shard_columns == 1


@pytest.mark.parametrize("harm", ["shard", "checksum", "lost shard", "lost checksum"])
def test_a_damaged_or_lost_shard_is_missing_and_only_it_is_written_again(tmp_path: Path, harm: str) -> None:
    fill(tmp_path)
    before = bytes_of(tmp_path)
    suffix = "safetensors" if "shard" in harm else "sha256"
    path = tmp_path / f"columns-0000003-0000006.{suffix}"
    if "lost" in harm:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert kernel(tmp_path).missing() == [range(3, 6)]
    fill(tmp_path)
    assert bytes_of(tmp_path) == before


def test_checksums_are_those_of_sha256sum(tmp_path: Path) -> None:
    fill(tmp_path)
    for file in tmp_path.glob("*.sha256"):
        assert subprocess.run(["sha256sum", "-c", file.name], cwd=tmp_path, capture_output=True).returncode == 0


def test_reading_an_unfinished_kernel_says_what_to_do(tmp_path: Path) -> None:
    array = kernel(tmp_path)
    array.write(range(3), list(values()[:3]), [(0, 0)] * 3)
    for read in (array.read, array.counts):
        with pytest.raises(FeatureError, match="2 of 3 shards are missing or damaged. Run `coresift extract`"):
            read()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"identity": {**IDENTITY, "model": "other"}}, "model: the store has 'm1', this run needs 'other'"),
        ({"rows": ROWS[:4]}, "rows.count: the store has 5, this run needs 4"),
        ({"examples": EXAMPLES[::-1]}, "examples.ids: the store has"),
        ({"pairs": PAIRS}, "pairs: the store has 'all'"),
        ({"shard_columns": 2}, "shard_columns: the store has 3, this run needs 2"),
    ],
)
def test_a_kernel_of_something_else_is_refused_with_both_sides(tmp_path: Path, changes: Any, said: str) -> None:
    late = kernel(tmp_path, **changes)
    fill(tmp_path)
    with pytest.raises(FeatureError, match=f"holds utilities of something else:[^$]*{said}"):
        kernel(tmp_path, **changes)
    shard = late.shards[0]
    with pytest.raises(FeatureError, match="holds utilities of something else"):  # opened before the other wrote
        late.write(shard, [torch.zeros(5)] * len(shard), [(0, 0)] * len(shard))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_utilities_that_are_not_finite_are_refused_with_their_ids(tmp_path: Path, bad: float) -> None:
    utilities = values()
    utilities[4, 2] = bad
    with pytest.raises(FeatureError, match="1 utilities of example 'e4' are not finite, the first for 'r2'"):
        fill(tmp_path / "dense", utilities)
    with pytest.raises(FeatureError, match="1 utilities of example 'e4' are not finite, the first for 'r2'"):
        fill(tmp_path / "sparse", utilities, pairs=PAIRS)
    assert not list(tmp_path.rglob("columns-0000003*"))


def test_a_shard_that_is_no_safetensors_file_is_named(tmp_path: Path) -> None:
    fill(tmp_path)
    path = tmp_path / "columns-0000003-0000006.safetensors"
    path.write_bytes(b"nonsense")
    digest = hashlib.sha256(b"nonsense").hexdigest()
    path.with_suffix(".sha256").write_text(f"{digest}  {path.name}\n")
    with pytest.raises(FeatureError, match="not a readable shard"):
        kernel(tmp_path).read()


@pytest.mark.parametrize(("examples", "rows"), [((), ROWS), (EXAMPLES, ())])
def test_an_empty_set_is_refused(tmp_path: Path, examples: Any, rows: Any) -> None:
    said = f"utilities of {len(examples)} examples for {len(rows)} rows. Give at least one of either"
    with pytest.raises(FeatureError, match=said):
        kernel(tmp_path, examples=examples, rows=rows)


@pytest.mark.parametrize("places", [[5], [-1, 2], [2, 1], [1, 1]])
def test_pairs_that_do_not_fit_are_refused(tmp_path: Path, places: list[int]) -> None:
    with pytest.raises(FeatureError, match="paired with example e0 are not ascending positions below 5"):
        kernel(tmp_path, pairs=[places, *PAIRS[1:]])
    with pytest.raises(FeatureError, match="pairs of 6 examples for 7. Give one list for each"):
        kernel(tmp_path, pairs=PAIRS[1:])
