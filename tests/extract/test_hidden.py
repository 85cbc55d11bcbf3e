"""Hidden states of conversations: later positions count more, and company in a batch changes nothing."""

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from coresift.extract.hidden import HiddenStates, extract_hidden_similarities, position_weighted
from coresift.features.store import FeatureStore
from coresift.features.targets import HiddenSimilaritySpec
from coresift.models.render import Rendered, Renderer
from coresift.models.rendered_pool import render_pool
from coresift.targets.influence import cosines

SPEC = HiddenSimilaritySpec()


def rendered(architecture: str, n: int = 8) -> tuple[Renderer, list[Rendered]]:
    renderer = Renderer(tiny.tokenizer(tiny.ARCHITECTURES[architecture]), max_tokens=256)
    return renderer, [row for row in render_pool(tiny.pool(n), renderer).rows if row is not None]


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_a_padded_batch_gives_the_rows_of_batches_of_one(architecture: str) -> None:
    renderer, rows = rendered(architecture)
    model = tiny.model(architecture, dtype=torch.float64)
    together = HiddenStates(model, renderer.pad_token, batch_tokens=10**6).rows(rows)
    alone = torch.cat([HiddenStates(model, renderer.pad_token, batch_tokens=1).rows([row]) for row in rows])
    assert len({len(row.tokens) for row in rows}) > 3
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-10)


def test_rows_are_the_weighted_means_of_what_the_whole_model_gives() -> None:
    renderer, rows = rendered("llama", 3)
    model = tiny.model("llama")
    found = HiddenStates(model, renderer.pad_token).rows(rows)
    for place, row in enumerate(rows):
        with torch.inference_mode():
            states = model(input_ids=torch.tensor([row.tokens]), output_hidden_states=True).hidden_states[-1][0]
        weights = torch.arange(1, len(row.tokens) + 1) / sum(range(1, len(row.tokens) + 1))
        torch.testing.assert_close(found[place], (states * weights[:, None]).sum(dim=0), rtol=1e-5, atol=1e-6)


def test_later_positions_count_more_and_padding_not_at_all() -> None:
    hidden = torch.tensor([[[3.0], [6.0], [torch.nan]], [[1.0], [1.0], [1.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    assert position_weighted(hidden, mask).tolist() == [[pytest.approx(3 / 3 + 2 * 6 / 3)], [pytest.approx(1.0)]]
    assert position_weighted(hidden.bfloat16(), mask).dtype == torch.float32


def extracted(folder: Path, model: Any, keep: bool, rows: list[Rendered], target: list[Rendered]) -> dict[str, Any]:
    store = FeatureStore(folder / "scores", identity={}, ids=[row.id for row in rows], shard_rows=3)
    kept = FeatureStore(folder / "kept", identity={}, ids=[row.id for row in rows], shard_rows=3) if keep else None
    read = 0

    def account(*, seconds: float, tokens: int, flops: float) -> None:
        nonlocal read
        read += tokens

    extract_hidden_similarities(HiddenStates(model, 0), rows, target, store, SPEC, keep=kept, account=account)
    return {"similar": store[SPEC], "tokens": read, "store": store, "kept": kept}


def test_similarities_are_cosines_and_keep_nothing_else(tmp_path: Path) -> None:
    _, rows = rendered("llama")
    model, target = tiny.model("llama"), rows[2:5]
    found = extracted(tmp_path, model, False, rows, target)
    states = HiddenStates(model, 0)
    torch.testing.assert_close(found["similar"], cosines(states.rows(rows), states.rows(target)), atol=1e-3, rtol=0)
    assert [path.name for path in tmp_path.iterdir()] == ["scores"]
    assert found["tokens"] == sum(len(row.tokens) for row in [*rows, *target])


def test_kept_rows_give_the_same_similarities_and_serve_another_target_without_a_pass(tmp_path: Path) -> None:
    _, rows = rendered("llama")
    model = tiny.model("llama")
    alone, kept = (extracted(tmp_path / str(k), model, k, rows, rows[2:5]) for k in (False, True))
    torch.testing.assert_close(alone["similar"], kept["similar"], atol=2e-3, rtol=0)
    (tmp_path / "True" / "scores").rename(tmp_path / "first")
    second = extracted(tmp_path / "True", model, True, rows, rows[:1])
    assert second["tokens"] == len(rows[0].tokens)  # of the target alone
    assert second["similar"][:, 0].argmax() == 0


@pytest.mark.parametrize("keep", [False, True])
def test_a_killed_extraction_ends_byte_identical(keep: bool, tmp_path: Path) -> None:
    _, rows = rendered("llama")
    model, target = tiny.model("llama"), rows[2:5]
    extracted(tmp_path, model, keep, rows, target)
    shards = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*.*"))}
    next((tmp_path / "scores").rglob("rows-0000003*")).unlink()
    extracted(tmp_path, model, keep, rows, target)
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*.*"))} == shards
