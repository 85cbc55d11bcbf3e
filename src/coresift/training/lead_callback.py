"""A policy in a training loop that is not ours: a callback for the `Trainer` of transformers.

    callback = LeadCallback(policy, problem, dataset)
    trainer = Trainer(model, arguments, train_dataset=callback.rounds, compute_loss_func=callback.loss,
                      callbacks=[callback], data_collator=...)
    trainer.train()

A round is what Trainer takes for an epoch. The loss function is handed the logits that training computes anyway, keeps
the loss of every example, and returns what Trainer would have computed itself. At the end of a round the policy sees
the losses; when it proposes nothing more, training stops.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import IterableDataset
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from coresift.errors import TrainingError
from coresift.policy import Observation, OnlineProblem, Policy, Round, State
from coresift.seeds import derive, generator
from coresift.training.changes import FirstOrder, rest_of_round
from coresift.training.rounds import STATE, write_state

IGNORED = -100
"""Label of a token that is not a target, as everywhere in transformers."""


class RoundStream(IterableDataset):
    """The examples of the round that is on, every time it is gone through.

    Args:
        dataset: The whole pool, by position.
        order: Gives the positions of the round.
    """

    def __init__(self, dataset: Any, order: Callable[[], np.ndarray]) -> None:
        self._dataset, self._order = dataset, order

    def __iter__(self) -> Iterator[Any]:
        return (self._dataset[int(position)] for position in self._order())


class LeadCallback(TrainerCallback):
    """Lets a policy choose what Trainer trains on, in one process.

    `max_steps` of the arguments is the most steps there may be; the policy stops training when its budget is spent.
    With `save_strategy="epoch"` every checkpoint holds the policy's state, and `train(resume_from_checkpoint=...)` goes
    on from it; that needs `ignore_data_skip=True`, since it is the policy that knows what comes next.

    Args:
        policy: What chooses.
        problem: What the policy knows at first.
        dataset: [n] items that the data collator makes batches with `labels` of, in the order of the problem.
        seed: Names the policy's choices and the order inside rounds.

    Attributes:
        state: Where the policy stands.
        trace: One record per round of this process: round, indices, losses, and what the policy said.
        rounds: The data set for Trainer.
    """

    def __init__(self, policy: Policy, problem: OnlineProblem, dataset: Any, *, seed: int = 0) -> None:
        self._policy, self._seed = policy, seed
        self.state: State = policy.init(problem, derive(seed, "policy"))
        self.plan = policy.plan(self.state)
        self.trace: list[dict[str, Any]] = []
        self.rounds = RoundStream(dataset, lambda: self._order)
        self._round: Round | None = None
        self._order = np.zeros(0, dtype=np.int64)
        self._losses: list[Tensor] = []
        self._steps: list[int] = []
        self._rates: list[float] = []
        self._first_order: FirstOrder | None = None

    def loss(self, outputs: Any, labels: Tensor, num_items_in_batch: Tensor | int | None = None) -> Tensor:
        """Trainer's own loss; the mean over every example's targets is kept on the way."""
        targets = labels[:, 1:]
        scores = outputs["logits"][:, :-1].float()
        nll = cross_entropy(scores.transpose(1, 2), targets, ignore_index=IGNORED, reduction="none")
        counts = (targets != IGNORED).sum(dim=1)
        self._losses.append((nll.sum(dim=1) / counts).detach())
        self._steps += [len(self._rates)] * len(labels)
        total = counts.sum() if num_items_in_batch is None else num_items_in_batch
        return nll.sum() / total

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Check what cannot go well, go on from a checkpoint, propose.

        Raises:
            TrainingError: If several processes train, gradients are clipped though their effect is to be estimated, or
                a resumed Trainer would skip data.
        """
        first_order = getattr(self._policy, "delta", "none") == "first-order"
        if args.world_size > 1:
            raise TrainingError(
                f"LeadCallback works in one process, found {args.world_size}. "
                "Use coresift.training.rounds.train_rounds, which works in several."
            )
        if first_order and args.max_grad_norm > 0:
            raise TrainingError(
                f"delta is 'first-order', but max_grad_norm={args.max_grad_norm:g} scales gradients before this "
                "callback sees them. Set max_grad_norm=0, or the policy's delta to none."
            )
        if state.global_step > 0:
            self._resume(args, state.global_step)
        weights = [weight for weight in kwargs["model"].parameters() if weight.requires_grad]
        self._first_order = FirstOrder(weights) if first_order else None
        self._propose(control)

    def _resume(self, args: TrainingArguments, step: int) -> None:
        if not args.ignore_data_skip:
            raise TrainingError(
                "a resumed Trainer skips as many batches as it has seen, which would be those of the next round. "
                "Set ignore_data_skip=True."
            )
        with np.load(Path(str(args.output_dir)) / f"checkpoint-{step}" / STATE, allow_pickle=False) as saved:
            self.state = self.state.from_arrays(dict(saved))

    def _propose(self, control: TrainerControl) -> None:
        self._round = self._policy.propose(self.state)
        if self._round is None:
            control.should_training_stop = True
            return
        indices = self._round.indices
        self._order = indices[generator(self._seed, "round", self._round.number).permutation(len(indices))]
        self._losses, self._steps, self._rates = [], [], []

    def on_pre_optimizer_step(self, *_: Any, **kwargs: Any) -> None:
        """A step is about to be taken."""
        self._rates.append(float(kwargs["optimizer"].param_groups[0]["lr"]))
        if self._first_order is not None:
            self._first_order.before()

    def on_optimizer_step(self, *_: Any, **kwargs: Any) -> None:
        """A step is taken."""
        if self._first_order is not None:
            self._first_order.after()

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The policy sees the round and proposes the next.

        Raises:
            TrainingError: If the losses are not those of the round.
        """
        if self._round is None:
            return
        losses = torch.cat(self._losses).double().cpu().numpy() if self._losses else np.zeros(0)
        if len(losses) != len(self._order):
            raise TrainingError(
                f"round {self._round.number}: {len(losses)} losses for {len(self._order)} examples. Pass the "
                "callback's loss as compute_loss_func, keep drop_last off, and allow more max_steps than rounds take."
            )
        left = None if self._first_order is None else [*rest_of_round(self._first_order.take()), 0.0]
        observation = Observation(
            indices=self._order,
            losses=losses,
            changes=None if left is None else np.array([left[step] for step in self._steps]),
            learning_rate=float(np.mean(self._rates)) if self._rates else 0.0,
            steps=max(1, len(self._rates)),
        )
        self.state = self._policy.observe(self.state, self._round, observation)
        facts = {**self._round.facts, **self.state.facts}
        self.trace.append({**facts, "round": self._round.number, "indices": self._order.tolist(), "losses": losses})
        self._propose(control)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The policy's state goes into Trainer's checkpoint."""
        write_state(Path(str(args.output_dir)) / f"checkpoint-{state.global_step}" / STATE, self.state)
