"""What weights do to an optimizer step, through the real trainer: gradients of one step, by plain SGD, in float64.

OPT computes wholly in float64; the other families keep float32 inside their norms.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch

from coresift.models.quiet import quiet
from coresift.models.render import Rendered, Renderer
from coresift.models.rendered_pool import render_pool
from coresift.training.build import build_trainer
from coresift.training.settings import TrainSettings

ONE_STEP: dict[str, Any] = {
    "tuning": "full",
    "epochs": 1,
    "learning_rate": 1.0,
    "warmup_ratio": 0.0,
    "max_grad_norm": 0.0,
    "precision": "float32",
}


def rows(n: int = 8) -> list[Rendered]:
    """Conversations of clearly different lengths."""
    renderer = Renderer(tiny.tokenizer("plain"), max_tokens=512)
    found = [row for row in render_pool(tiny.pool(n), renderer).rows if row is not None]
    assert len({row.n_targets for row in found}) >= min(n, 4) - 1
    return found


def update(
    folder: Path, rows: Sequence[Rendered], weights: Sequence[float] | None = None, **changes: Any
) -> dict[str, torch.Tensor]:
    """Change of every parameter over one run of the trainer, with SGD at a constant scale."""
    settings = TrainSettings(**{**ONE_STEP, "batch_size": len(rows), "micro_batch_size": len(rows), **changes})
    model = tiny.model("opt", dtype=torch.float64)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    with quiet():
        trainer = build_trainer(
            model,
            tiny.tokenizer("plain"),
            rows,
            out=folder,
            settings=settings,
            weights=np.ones(len(rows)) if weights is None else np.asarray(weights, dtype=float),
            seed=0,
            device=torch.device("cpu"),
            optimizer=torch.optim.SGD(model.parameters(), lr=1e-2),
        )
        trainer.train()
    return {name: weight.detach() - before[name] for name, weight in model.named_parameters()}


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    scale = max(float(change.abs().max()) for change in left.values())
    assert scale > 1e-5, "nothing was learned, so nothing is compared"
    return all(torch.allclose(left[name], right[name], rtol=0, atol=1e-9 * scale) for name in left)


@pytest.mark.parametrize("reduction", ["example", "token"])
def test_weight_two_is_the_row_twice(reduction: str, tmp_path: Path) -> None:
    some = rows(4)
    weighted = update(tmp_path, some, [1, 2, 1, 3], loss_reduction=reduction)
    repeated = update(tmp_path, [some[0], some[1], some[1], some[2], *[some[3]] * 3], loss_reduction=reduction)
    assert same(weighted, repeated)
    assert not same(weighted, update(tmp_path, some, loss_reduction=reduction))


@pytest.mark.parametrize("reduction", ["example", "token"])
@pytest.mark.parametrize("micro_batch", [1, 2, 4])
def test_micro_batches_add_up(reduction: str, micro_batch: int, tmp_path: Path) -> None:
    weights = [1, 5, 2, 0.25, 3, 1, 9, 2]
    whole = update(tmp_path, rows(), weights, loss_reduction=reduction)
    assert same(whole, update(tmp_path, rows(), weights, loss_reduction=reduction, micro_batch_size=micro_batch))


@pytest.mark.parametrize("reduction", ["example", "token"])
def test_scaling_all_weights_changes_nothing(reduction: str, tmp_path: Path) -> None:
    weights = np.array([1, 5, 2, 0.25, 3, 1, 9, 2])
    for micro_batch in (1, 8):
        one = update(tmp_path, rows(), weights, loss_reduction=reduction, micro_batch_size=micro_batch)
        many = update(tmp_path, rows(), weights * 37.5, loss_reduction=reduction, micro_batch_size=micro_batch)
        assert same(one, many)


def test_unit_weights_are_no_weights_and_none_ignores_them(tmp_path: Path) -> None:
    weights = [1, 5, 2, 0.25, 3, 1, 9, 2]
    plain = update(tmp_path, rows())
    assert same(plain, update(tmp_path, rows(), [1.0] * 8))
    assert same(plain, update(tmp_path, rows(), [4.0] * 8))
    assert same(plain, update(tmp_path, rows(), weights, weighting="none"))
    assert not same(plain, update(tmp_path, rows(), weights))


@pytest.mark.parametrize("reduction", ["example", "token"])
def test_step_is_the_gradient_of_the_weighted_mean_written_out(reduction: str, tmp_path: Path) -> None:
    some, weights = rows(5), [1.0, 4.0, 0.5, 2.0, 3.0]
    model = tiny.model("opt", dtype=torch.float64)
    total, mass = torch.zeros((), dtype=torch.float64), 0.0
    for row, weight in zip(some, weights, strict=True):
        tokens = torch.tensor([row.tokens])
        scores = torch.log_softmax(model(tokens).logits[0, :-1], dim=-1)
        loss = -scores[torch.arange(len(row.tokens) - 1), tokens[0, 1:]][torch.tensor(row.response[1:])]
        total = total + weight * (loss.sum() if reduction == "token" else loss.mean())
        mass += weight * (row.n_targets if reduction == "token" else 1)
    (total / mass).backward()
    expected = {name: -1e-2 * weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    assert same(expected, update(tmp_path, some, weights, loss_reduction=reduction, batch_size=8, micro_batch_size=2))


def test_an_incomplete_last_step_is_a_whole_mean_of_its_own(tmp_path: Path) -> None:
    # 6 rows in steps of 4: the last step holds two, whether these are one micro-batch of 2 or two of 1
    weights = [1, 5, 2, 0.25, 3, 1]
    wide = update(tmp_path, rows(6), weights, batch_size=4, micro_batch_size=4)
    for micro_batch in (1, 2):
        assert same(wide, update(tmp_path, rows(6), weights, batch_size=4, micro_batch_size=micro_batch))
    # 7 rows in micro-batches of 2: the very last micro-batch is half full
    weights = [1, 5, 2, 0.25, 3, 1, 8]
    wide = update(tmp_path, rows(7), weights, batch_size=4, micro_batch_size=4)
    assert same(wide, update(tmp_path, rows(7), weights, batch_size=4, micro_batch_size=2))


def test_one_example_can_be_the_whole_step_without_its_weight_mattering(tmp_path: Path) -> None:
    # steps of one example: a weight has nothing to be weighed against
    plain = update(tmp_path, rows(3), batch_size=1, micro_batch_size=1)
    assert same(plain, update(tmp_path, rows(3), [1, 50, 7], batch_size=1, micro_batch_size=1))


def test_example_and_token_reduction_differ_when_lengths_do(tmp_path: Path) -> None:
    assert not same(update(tmp_path, rows()), update(tmp_path, rows(), loss_reduction="token"))


def test_the_reported_loss_is_the_loss_of_the_step(tmp_path: Path) -> None:
    some, weights = rows(4), np.array([1.0, 4.0, 0.5, 2.0])
    model = tiny.model("opt", dtype=torch.float64)
    trainer = build_trainer(
        model,
        tiny.tokenizer("plain"),
        some,
        out=tmp_path,
        settings=TrainSettings(**{**ONE_STEP, "batch_size": 4, "micro_batch_size": 1}),
        weights=weights,
        seed=0,
        device=torch.device("cpu"),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.0),
    )
    trainer.train()
    from coresift.models.losses import pool_losses

    losses = pool_losses(model.eval(), some, start_token=0, pad_token=0).response
    expected = float((losses * torch.from_numpy(weights)).sum() / weights.sum())
    assert trainer.state.log_history[0]["loss"] == pytest.approx(expected, rel=1e-6)


SCRIPT = """
import sys, tiny, torch, test_step
from pathlib import Path
changes = test_step.update(Path(sys.argv[1]), test_step.rows(), test_step.SHARED, **test_step.TWO_STEPS)
if torch.distributed.get_rank() == 0:
    torch.save(changes, sys.argv[2])
"""
SHARED = [1, 5, 2, 0.25, 3, 1, 9, 2]
TWO_STEPS: dict[str, Any] = {"micro_batch_size": 1, "batch_size": 4}


@pytest.mark.slow
def test_two_processes_take_the_step_of_one(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    folders = [str(Path(__file__).parent), str(Path(tiny.__file__).parent), *sys.path]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run(
        [*command, str(tmp_path / "script.py"), str(tmp_path / "run"), str(tmp_path / "changes.pt")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders), "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
    )
    together = torch.load(tmp_path / "changes.pt", weights_only=True)
    assert same(update(tmp_path / "one", rows(), SHARED, **TWO_STEPS), together)
