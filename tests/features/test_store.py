"""The feature store: whole or absent, checksummed, resumable after a kill, and loud about whose features it holds."""

import hashlib
from pathlib import Path

import apart
import pytest
import torch
from safetensors.torch import load_file

from coresift.errors import FeatureError
from coresift.features.specs import GradientSpec
from coresift.features.store import FeatureStore

SPEC = GradientSpec(loss="knowledge", dim=16)
IDS = tuple(f"id-{row}" for row in range(10))
IDENTITY = {"pool": "p1", "model": "m1", "adapter": "a1"}


def store(root: Path, **identity: str) -> FeatureStore:
    return FeatureStore(root, identity={**IDENTITY, **identity}, ids=IDS, shard_rows=4)


def values() -> torch.Tensor:
    noise = torch.Generator().manual_seed(0)
    scale = torch.tensor([10.0**power for power in range(-5, 5)])
    return torch.randn(10, 16, generator=noise) * scale[:, None]


def fill(root: Path, rows: torch.Tensor | None = None, spec: GradientSpec = SPEC) -> FeatureStore:
    filled, rows = store(root), values() if rows is None else rows
    array = filled.array(spec)
    for shard in array.missing():
        array.write(shard, rows[shard.start : shard.stop])
    return filled


def bytes_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_rows_come_back_to_16_bit_precision_at_any_scale(tmp_path: Path) -> None:
    rows, found = values(), fill(tmp_path)[SPEC]
    assert ((found - rows).norm(dim=1) / rows.norm(dim=1)).max() < 1e-3
    assert found.dtype == torch.float32


def test_shards_hold_16_bit_unit_rows_and_32_bit_norms(tmp_path: Path) -> None:
    fill(tmp_path)
    tensors = load_file(next(tmp_path.rglob("rows-0000000-0000004.safetensors")))
    assert tensors["unit"].dtype == torch.float16 and tensors["norm"].dtype == torch.float32
    assert torch.allclose(tensors["unit"].float().norm(dim=1), torch.ones(4), atol=1e-3)


def test_specs_that_only_rescale_rows_share_one_folder(tmp_path: Path) -> None:
    filled = fill(tmp_path)
    unit = filled[SPEC.model_copy(update={"unit_norm": True, "norm_power": 0.0})]
    assert torch.allclose(unit.norm(dim=1), torch.ones(10), atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == [SPEC.key]


def test_zero_rows_stay_zero(tmp_path: Path) -> None:
    rows = values()
    rows[3] = 0
    assert fill(tmp_path, rows)[SPEC][3].abs().sum() == 0


def test_a_damaged_or_lost_shard_is_missing_and_only_it_is_written_again(tmp_path: Path) -> None:
    fill(tmp_path)
    before = bytes_of(tmp_path)
    shard = next(tmp_path.rglob("rows-0000004-0000008.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    array = store(tmp_path).array(SPEC)
    assert array.missing() == [range(4, 8)]
    array.write(range(4, 8), values()[4:8])
    assert bytes_of(tmp_path) == before


def test_reading_an_unfinished_store_says_what_to_do(tmp_path: Path) -> None:
    array = store(tmp_path).array(SPEC)
    array.write(range(4), values()[:4])
    with pytest.raises(FeatureError, match="2 of 3 shards are missing or damaged. Run `coresift extract`"):
        array.read()


@pytest.mark.parametrize("part", ["pool", "model", "adapter"])
def test_a_store_of_something_else_is_refused_with_both_sides(tmp_path: Path, part: str) -> None:
    fill(tmp_path)
    with pytest.raises(FeatureError, match=f"{part}: the store has '{IDENTITY[part]}', this run needs 'other'"):
        store(tmp_path, **{part: "other"}).array(SPEC)


def test_a_store_of_another_spec_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    fill(tmp_path)
    other = GradientSpec(loss="knowledge", dim=16, seed=1)
    (tmp_path / SPEC.key).rename(tmp_path / other.key)
    with pytest.raises(FeatureError, match="spec.seed: the store has 0, this run needs 1"):
        store(tmp_path).array(other)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_rows_that_are_not_finite_are_refused_with_their_ids(tmp_path: Path, value: float) -> None:
    rows = values()
    rows[5, 2] = value
    with pytest.raises(FeatureError, match="1 gradient rows are not finite: ids 'id-5'"):
        fill(tmp_path, rows)
    assert not list(tmp_path.rglob("rows-0000004*"))


def test_a_shard_that_is_no_safetensors_file_is_named(tmp_path: Path) -> None:
    filled = fill(tmp_path)
    array = filled.array(SPEC)
    path = next(tmp_path.rglob("rows-0000004-0000008.safetensors"))
    path.write_bytes(b"nonsense")
    with pytest.raises(FeatureError, match="not a readable shard"):
        array._load(range(4, 8))


EXTRACTION = """
import sys
from pathlib import Path
import tiny, torch
from coresift.extract.run import GradientExtractor, extract_gradients
from coresift.features.specs import GradientSpec
from coresift.features.store import FeatureStore
from coresift.models.lora import LoraSettings, attach_lora
from coresift.models.render import Renderer
from coresift.models.rendered_pool import render_pool

torch.set_num_threads(1)
pool = tiny.pool(48)
renderer = Renderer(tiny.tokenizer(), max_tokens=256)
rows = list(render_pool(pool, renderer).rows)
model = attach_lora(tiny.model(), LoraSettings(rank=4, alpha=8), seed=0)
specs = [GradientSpec(loss=loss, dim=64) for loss in ("knowledge", "following")]
store = FeatureStore(Path(sys.argv[1]), identity={"pool": pool.fingerprint}, ids=pool.ids, shard_rows=2)
print("ready", flush=True)
cost = extract_gradients(GradientExtractor(model, renderer.start_token, renderer.pad_token), rows, store, specs)
print("computed", cost.shards, flush=True)
"""


def test_a_killed_extraction_resumes_with_the_missing_shards_and_ends_byte_identical(tmp_path: Path) -> None:
    assert apart.code_of(apart.start(EXTRACTION, tmp_path / "whole")) == 0
    for kill_after in (3, 11):
        killed = apart.start(EXTRACTION, tmp_path / "killed")
        apart.until(lambda n=2 * kill_after: len([*(tmp_path / "killed").rglob("rows-*.safetensors")]) >= n, killed)
        apart.kill(killed)
    resumed = apart.start(EXTRACTION, tmp_path / "killed", said=tmp_path / "said.txt")
    assert apart.code_of(resumed) == 0
    computed = int((tmp_path / "said.txt").read_text().split()[-1])
    assert 0 < computed <= 24 - 10
    assert bytes_of(tmp_path / "killed") == bytes_of(tmp_path / "whole")
