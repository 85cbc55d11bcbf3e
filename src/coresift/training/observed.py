"""The trainer of `training.weighted`, trained round by round, that tells what its steps saw anyway.

A round is one epoch of Trainer over the positions that it is handed. Losses of single examples come out of the forward
pass of training, so nothing runs twice; what is asked of the device is asked once, at the end of a round.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Sampler

from coresift.models.render import Rendered
from coresift.seeds import generator
from coresift.training.changes import Directions, FirstOrder, last_layer, rest_of_round
from coresift.training.rates import Rates
from coresift.training.weighted import WeightedCollator, WeightedTrainer


class RoundOrder(Sampler[int]):
    """The positions of one round: shuffled by seed and round, sorted by length inside each optimizer step.

    Args:
        lengths: [n] tokens of each example of the pool.
        step_size: Examples per optimizer step.
        seed: Names the order, together with the number of the round.
    """

    def __init__(self, lengths: Sequence[int], *, step_size: int, seed: int) -> None:
        self._lengths, self._step_size, self._seed = np.asarray(lengths), step_size, seed
        self._positions = np.arange(len(lengths))

    def begin(self, number: int, indices: np.ndarray) -> None:
        """Choose the round that the next iteration yields."""
        drawn = indices[generator(self._seed, "round", number).permutation(len(indices))]
        steps = [drawn[start : start + self._step_size] for start in range(0, len(drawn), self._step_size)]
        self._positions = np.concatenate([step[np.argsort(self._lengths[step], kind="stable")] for step in steps])

    def set_epoch(self, epoch: int) -> None:
        """Nothing: the order is that of the round."""

    def __len__(self) -> int:
        return len(self._positions)

    def __iter__(self) -> Iterator[int]:
        return iter(self._positions.tolist())


class ObservingCollator(WeightedCollator):
    """Batches that also say which positions they hold. Arguments as `WeightedCollator`."""

    def __init__(self, rows: Sequence[Rendered], *, pad_token: int) -> None:
        super().__init__(rows, torch.ones(len(rows), dtype=torch.float64), pad_token=pad_token)

    def weigh(self, indices: np.ndarray, weights: Sequence[float]) -> None:
        """From now on the examples at `indices` weigh this much."""
        self._weights[torch.from_numpy(indices)] = torch.tensor(weights, dtype=torch.float64)

    def __call__(self, items: Sequence[dict[str, int]]) -> dict[str, Tensor]:
        positions = torch.tensor([item["position"] for item in items])
        return {**super().__call__(items), "position": positions}


@dataclass(frozen=True, slots=True)
class Seen:
    """What the steps of one round saw, over all processes.

    Attributes:
        indices: [m] positions in the order trained, all different.
        losses: [m] nats per response token, before the step that trained on the example.
        changes: [m] first-order estimate of how each loss moved until the end of the round; None if not asked for.
        rate: Mean learning rate of the steps.
        steps: Optimizer steps.
        cosine: As `policy.Observation`.
    """

    indices: np.ndarray
    losses: np.ndarray
    changes: np.ndarray | None
    rate: float
    steps: int
    cosine: float | None


class ObservedTrainer(WeightedTrainer):
    """WeightedTrainer over rounds.

    Args:
        rates: The learning rate over rounds.
        most_rounds: How many rounds there can be.
        rounds: Called as `rounds(self, number)` for every round; trains it through `train_round`. False: no more.
        done: Rounds that a resumed run has behind it.
        first_order: Whether changes are estimated.
        directions: Whether directions are followed.
        kwargs: Passed on to WeightedTrainer.
    """

    order: RoundOrder  # type: ignore[assignment]
    data_collator: ObservingCollator

    def __init__(
        self,
        *,
        rates: Rates,
        most_rounds: int,
        rounds: Callable[["ObservedTrainer", int], bool],
        done: int = 0,
        first_order: bool = False,
        directions: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rates, self._most_rounds, self._rounds, self._done = rates, most_rounds, rounds, done
        trained = [weight for weight in kwargs["model"].parameters() if weight.requires_grad]
        self._first_order = FirstOrder(trained) if first_order else None
        self.directions = Directions(last_layer(kwargs["model"])) if directions else None
        self._losses: list[tuple[int, Tensor, Tensor]] = []
        self._step, self._rates_used, self._norm = -1, list[float](), torch.ones(())
        self._epoch_arguments: dict[str, Any] = {}

    def train_round(
        self, number: int, indices: np.ndarray, *, arm: Any = None, weights: Sequence[float] | None = None
    ) -> Seen:
        """Train on all examples of a round, each once.

        Args:
            number: Of the round.
            indices: Positions.
            arm: Whose round it is.
            weights: As in `WeightedTrainer`; equal when None.
        """
        self.order.begin(number, indices)
        self.data_collator.weigh(indices, [1.0] * len(indices) if weights is None else weights)
        self._losses, self._step, self._rates_used = [], -1, []
        if self.directions is not None:
            self.directions.begin()
        loader = self.get_train_dataloader()
        steps = -(-len(loader) // self.args.gradient_accumulation_steps)
        arguments = {"train_dataloader": loader, "steps_in_epoch": len(loader), "num_update_steps_per_epoch": steps}
        super(WeightedTrainer, self)._run_epoch(**{**self._epoch_arguments, **arguments})
        seen = self._gathered(None if self.directions is None else self.directions.cosine(arm))
        if self.directions is not None:
            self.directions.end(arm)
        return seen

    def save_round(self) -> str:
        """Write a checkpoint of everything that training needs to go on; returns its folder."""
        model: Any = self.model
        self._save_checkpoint(model, None)
        return f"{self.args.output_dir}/checkpoint-{self.state.global_step}"

    def _gathered(self, cosine: float | None) -> Seen:
        from accelerate.utils import gather_object

        own = [
            (step, position, loss)
            for step, positions, losses in self._losses
            for position, loss in zip(positions.tolist(), losses.double().tolist(), strict=True)
        ]
        everything = sorted(gather_object(own), key=lambda each: each[0])
        first: dict[int, tuple[int, float]] = {}
        for step, position, loss in everything:
            first.setdefault(position, (step, loss))  # an example that comes twice only fills up the last step
        left = None if self._first_order is None else rest_of_round(self._first_order.take())
        return Seen(
            indices=np.fromiter(first, dtype=np.int64, count=len(first)),
            losses=np.array([loss for _, loss in first.values()]),
            changes=None if left is None else np.array([left[step] for step, _ in first.values()]),
            rate=float(np.mean(self._rates_used)),
            steps=len(self._rates_used),
            cosine=cosine,
        )

    def get_batch_samples(self, epoch_iterator: Iterator, num_batches: int, device: torch.device) -> tuple[list, Any]:
        """As in WeightedTrainer; a step begins."""
        self._step += 1
        return super().get_batch_samples(epoch_iterator, num_batches, device)

    def _note(self, inputs: dict[str, Tensor], losses: Tensor) -> None:
        self._losses.append((self._step, inputs["position"], losses.detach()))

    def _clip_grad_norm(self, model: nn.Module) -> Any:
        norm = super()._clip_grad_norm(model)
        self._norm = norm
        return norm

    def create_optimizer(self, *args: Any, **kwargs: Any) -> Any:
        """As in Trainer; what surrounds a step is measured by hooks on the optimizer."""
        made = super().create_optimizer(*args, **kwargs)
        made.register_step_pre_hook(lambda *_: self._before_step())
        made.register_step_post_hook(lambda *_: self._after_step())
        return made

    def _before_step(self) -> None:
        self._rates_used.append(float(self._get_learning_rate()))
        if self._first_order is not None:
            self._first_order.before()

    def _after_step(self) -> None:
        if self._first_order is not None:
            limit = self.args.max_grad_norm
            # What torch's clipping multiplies by, so that it can be taken back.
            self._first_order.after(torch.clamp(limit / (self._norm + 1e-6), max=1.0) if limit > 0 else 1.0)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The rate over rounds in place of one over steps."""
        optimizer = self.optimizer if optimizer is None else optimizer
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self.rates)
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def set_initial_training_values(self, *args: Any, **kwargs: Any) -> Any:
        """Rounds in place of epochs; no limit on steps, since the policy says when to stop."""
        _, per_epoch, examples, samples, batch, in_epoch, _ = super().set_initial_training_values(*args, **kwargs)
        return self._most_rounds, per_epoch, examples, samples, batch, in_epoch, 2**31

    def _init_training_state(self, *args: Any, **kwargs: Any) -> tuple[int, int]:
        super()._init_training_state(*args, **kwargs)
        return self._done, 0

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """One round, as whoever made this trainer wants it."""
        self._epoch_arguments = kwargs
        if not self._rounds(self, kwargs["epoch"]):
            self.control.should_training_stop = True
