"""TRL's SFTTrainer with a loss that weighs examples over the whole optimizer step.

With w_i the weight of example i, T_i its target tokens and l_it their losses, the loss of an optimizer step is

    example:  sum_i w_i mean_t l_it / sum_i w_i          token:  sum_i w_i sum_t l_it / sum_i w_i T_i

where both sums run over every example of the step: all micro-batches of the accumulation and all processes. The
denominator is known before the first micro-batch runs, so every micro-batch contributes its share of the numerator and
the shares add up; nothing is averaged per micro-batch.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from trl import SFTTrainer

from coresift.disk import writing
from coresift.errors import TrainingError
from coresift.models.batches import Batch, collate
from coresift.models.losses import token_nll
from coresift.models.render import Rendered
from coresift.training.order import EpochOrder
from coresift.training.settings import CALMER


class WeightedCollator:
    """Turns positions into padded batches that carry weights.

    Args:
        rows: Rendered examples.
        weights: [n] float64.
        pad_token: Any token; masked.
    """

    def __init__(self, rows: Sequence[Rendered], weights: Tensor, *, pad_token: int) -> None:
        self._rows, self._weights, self._pad_token = rows, weights, pad_token

    def __call__(self, items: Sequence[dict[str, int]]) -> dict[str, Tensor]:
        places = [item["position"] for item in items]
        rows = [self._rows[place] for place in places]
        batch = collate(rows, start_token=self._pad_token, pad_token=self._pad_token)
        return {
            "input_ids": batch.input_ids,
            "attention_mask": batch.attention_mask,
            "targets": batch.targets,
            "weight": self._weights[places],
        }


class WeightedTrainer(SFTTrainer):
    """SFTTrainer whose loss is `coresift.training.weighted`'s; data order and progress are ours too.

    Args:
        order: The positions of every epoch.
        token_mean: Whether weights weigh tokens instead of examples.
        kwargs: Passed on to SFTTrainer.
    """

    loss_is_scaled_for_ga: bool | None = True  # type: ignore[assignment,unused-ignore]
    """Read by transformers: `compute_loss` already divides by the whole step's denominator."""

    def __init__(self, *, order: EpochOrder, token_mean: bool, **kwargs: Any) -> None:
        self.order, self._token_mean = order, token_mean
        super().__init__(**kwargs)
        for weight in kwargs["model"].parameters():
            if weight.requires_grad and weight.dtype in (torch.bfloat16, torch.float16):
                weight.data = weight.data.float()  # a small learning rate is lost on 16-bit weights

    def get_batch_samples(self, epoch_iterator: Iterator, num_batches: int, device: torch.device) -> tuple[list, Any]:
        """The micro-batches of one optimizer step, and the step's denominator in place of a token count."""
        samples: list[dict[str, Tensor]] = []
        for _ in range(num_batches):
            found = next(epoch_iterator, None)
            if found is not None:
                samples.append(found)
        shares = [self._numbers(sample["weight"], sample["targets"]).sum() for sample in samples]
        total = torch.stack(shares).sum().reshape(1) if samples else torch.zeros(1)
        return samples, self.accelerator.gather(total.to(device)).sum()

    def _numbers(self, weights: Tensor, targets: Tensor) -> Tensor:
        return weights * targets.sum(dim=1) if self._token_mean else weights

    def compute_loss(  # type: ignore[override,unused-ignore]
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Tensor:
        """This micro-batch's share of the step's loss; processes are averaged later, hence the factor."""
        batch = Batch(inputs["input_ids"], inputs["attention_mask"], inputs["targets"])
        nll, counts = token_nll(model, batch).sum(dim=1), batch.targets.sum(dim=1)
        self._note(inputs, nll / counts)
        weights = inputs["weight"].to(nll.dtype)
        numerator = (weights * (nll if self._token_mean else nll / counts)).sum()
        if num_items_in_batch is None:
            num_items_in_batch = self._numbers(weights, batch.targets).sum()
        return numerator * self.accelerator.num_processes / num_items_in_batch.to(nll.dtype)

    def _note(self, inputs: dict[str, Tensor], losses: Tensor) -> None:
        """What a trainer that listens would keep: [b] the losses of this micro-batch's examples."""

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Keep the history; refuse a loss that is not a number."""
        loss = logs.get("loss", logs.get("train_loss", 0.0))
        if not math.isfinite(loss):
            self._refuse(loss)
        super().log(logs, start_time)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        if not bool(torch.isfinite(self._tr_loss)):
            self._refuse(float(self._tr_loss))
        trained = sum(weight.nbytes for weight in model.parameters() if weight.requires_grad)
        folder = Path(str(self.args.output_dir)) / f"checkpoint-{self.state.global_step}"
        with writing(folder, size=3 * trained, partial=folder):  # weights and AdamW's two moments
            super()._save_checkpoint(model, trial)

    def _refuse(self, loss: float) -> None:
        where = f"at step {self.state.global_step} of {self.state.max_steps}"
        raise TrainingError(f"the training loss is {loss} {where}. {CALMER}")

    def _get_train_sampler(self, train_dataset: Any = None) -> EpochOrder:
        return self.order

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """As in Trainer, in our order, except that a run resumed at its last step does not take one more."""
        if self.state.global_step < self.state.max_steps:
            self.order.set_epoch(int(self.state.epoch or 0))
            super()._run_epoch(*args, **kwargs)

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Not counted here: `training.costs` knows it from the rows, without walking the model on every micro-batch."""
        return 0

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """No card: a checkpoint is not a publication."""

    def _send_telemetry(self) -> None:
        """None is sent."""
