"""A policy inside transformers' own Trainer."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from round_policies import Highest
from transformers import Trainer, TrainerCallback, TrainingArguments

from coresift.errors import TrainingError
from coresift.models.batches import collate
from coresift.models.losses import example_losses, token_nll
from coresift.models.quiet import quiet
from coresift.models.render import Renderer
from coresift.models.rendered_pool import render_pool
from coresift.policy import OnlineProblem
from coresift.training.lead_callback import IGNORED, LeadCallback

ROWS = [row for row in render_pool(tiny.pool(12), Renderer(tiny.tokenizer("llama3"), max_tokens=512)).rows if row]


def batches(items: list[Any]) -> dict[str, torch.Tensor]:
    batch = collate(items, start_token=0, pad_token=0)
    labels = batch.input_ids.masked_fill(~batch.targets, IGNORED)
    return {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask, "labels": labels}


def arguments(folder: Path, **changes: Any) -> TrainingArguments:
    ask: dict[str, Any] = {
        "output_dir": str(folder),
        "max_steps": 100,
        "per_device_train_batch_size": 2,
        "learning_rate": 1e-3,
        "lr_scheduler_type": "constant",
        "max_grad_norm": 0.0,
        "save_strategy": "epoch",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
    }
    return TrainingArguments(**{**ask, **changes})


def trained(
    folder: Path,
    policy: Highest,
    *,
    resume: str | None = None,
    more: list[TrainerCallback] | None = None,
    **changes: Any,
) -> tuple[LeadCallback, Any]:
    callback = LeadCallback(policy, OnlineProblem(12, 9, utilities=np.arange(12.0)), ROWS, seed=1)
    model = tiny.model()
    with quiet():
        Trainer(
            model,
            arguments(folder, **changes),
            train_dataset=callback.rounds,
            data_collator=batches,
            compute_loss_func=callback.loss,
            callbacks=[callback, *(more or [])],
        ).train(resume_from_checkpoint=resume)
    return callback, model


def test_the_policy_chooses_every_round_and_stops_trainer_at_its_budget(tmp_path: Path) -> None:
    callback, _ = trained(tmp_path, Highest(size=4))
    assert [sorted(each["indices"]) for each in callback.trace] == [[8, 9, 10, 11], [4, 5, 6, 7], [3]]
    assert callback.state.spent == 9 and callback.plan.rounds == 3


def test_the_losses_are_those_of_the_training_forward_pass(tmp_path: Path) -> None:
    callback, _ = trained(tmp_path, Highest(size=2))
    first = callback.trace[0]
    batch = collate([ROWS[place] for place in first["indices"]], start_token=0, pad_token=0)
    with torch.no_grad():
        expected = example_losses(token_nll(tiny.model(), batch), batch.targets)
    assert first["losses"] == pytest.approx(expected.tolist(), abs=1e-5)


def test_trainer_takes_the_steps_that_it_takes_with_its_own_loss(tmp_path: Path) -> None:
    callback, ours = trained(tmp_path / "ours", Highest(size=4))
    order = [place for each in callback.trace for place in each["indices"]]
    theirs = tiny.model()
    with quiet():
        plain = Trainer(
            theirs,
            arguments(tmp_path / "theirs", max_steps=5),
            train_dataset=[ROWS[place] for place in order],
            data_collator=batches,
        )
        plain._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(order)  # type: ignore[method-assign]
        plain.train()
    pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in pairs)


def test_first_order_changes_reach_the_policy(tmp_path: Path) -> None:
    callback, _ = trained(tmp_path, Highest(size=4, delta="first-order"))
    changes = callback.state.changes[callback.trace[0]["indices"]]
    assert np.isfinite(changes).all() and (changes < 0).all() and abs(changes[0]) > abs(changes[-1])


class Stop(TrainerCallback):
    """Ends training after the second round's checkpoint, as a crash would."""

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 4:
            raise KeyboardInterrupt


def test_a_resumed_trainer_goes_on_with_the_next_round(tmp_path: Path) -> None:
    straight, one = trained(tmp_path / "straight", Highest(size=4))
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "broken", Highest(size=4), more=[Stop()])
    checkpoint = str(tmp_path / "broken" / "checkpoint-4")
    resumed, two = trained(tmp_path / "broken", Highest(size=4), resume=checkpoint, ignore_data_skip=True)
    assert [each["indices"] for each in resumed.trace] == [each["indices"] for each in straight.trace[2:]]
    assert np.array_equal(resumed.state.utilities, straight.state.utilities)
    assert all(torch.equal(left, right) for left, right in zip(one.parameters(), two.parameters(), strict=True))
    with pytest.raises(TrainingError, match="those of the next round. Set ignore_data_skip=True"):
        trained(tmp_path / "broken", Highest(size=4), resume=checkpoint)


def test_what_cannot_go_well_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="max_grad_norm=1 scales gradients before .* Set max_grad_norm=0"):
        trained(tmp_path, Highest(delta="first-order"), max_grad_norm=1.0)
    with pytest.raises(
        TrainingError, match=r"round 0: 2 losses for 4 examples. Pass the callback's loss as compute_loss"
    ):
        trained(tmp_path, Highest(size=4), max_steps=1)
    callback = LeadCallback(Highest(), OnlineProblem(12, 9), ROWS)
    several = SimpleNamespace(world_size=2, max_grad_norm=0.0)
    with pytest.raises(TrainingError, match="works in one process, found 2. Use coresift.training.rounds.train_rounds"):
        callback.on_train_begin(several, SimpleNamespace(global_step=0), None, model=None)  # type: ignore[arg-type]
