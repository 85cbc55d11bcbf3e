"""The two losses of an example, in nats per target token.

With y the target tokens of an example (every response and its end marker) and x its context,

    response  = -(1/|y|) sum_t log p(y_t | x, y_<t)
    knowledge = -(1/|y|) sum_t log p(y_t | start, y_<t)
    following = response - knowledge  =  log IFD

over the same token ids and the same count, so that the identity holds for every example, multi-turn ones included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from coresift.lazy import torch
from coresift.models.batches import Batch, Kind, by_length, collate
from coresift.models.render import Rendered
from coresift.progress import Progress
from coresift.savepoints import Clock, Nowhere, Savepoints

if TYPE_CHECKING:
    from torch import Tensor, nn

BOTH: tuple[Kind, Kind] = ("response", "knowledge")


def token_nll(model: nn.Module, batch: Batch) -> Tensor:
    """Negative log-likelihood of every target token.

    The vocabulary projection runs on the positions that targets are predicted from and on no other; where a model has
    no head of its own to be told so, on those that some row of the batch predicts from. No attention mask is given:
    padding is on the right, where causal attention never looks, and without a mask the fastest kernels serve.

    Returns:
        [b, t], nats, float32 (float64 for a float64 model); exactly 0 off target. Entry (i, t) is the loss of token t.
    """
    scores = _scores(model, batch)
    precise = torch.promote_types(scores.dtype, torch.float32)
    losses = torch.nn.functional.cross_entropy(scores.to(precise), batch.input_ids[batch.targets], reduction="none")
    nll = losses.new_zeros(batch.input_ids.shape)
    nll[batch.targets] = losses
    return nll


def _scores(model: nn.Module, batch: Batch) -> Tensor:
    """[targets, vocabulary], the logits that every target is predicted by, in the order of `targets`."""
    wanted, head = batch.targets[:, 1:], head_of(model)
    if head is None:
        columns = wanted.any(dim=0).nonzero().squeeze(1)
        return _logits(model, batch, logits_to_keep=columns)[wanted[:, columns]]
    narrowed = []

    def narrow(head: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        narrowed.append(True)
        return (inputs[0][:, :-1][wanted][None], *inputs[1:])

    handle = head.register_forward_pre_hook(narrow)
    try:
        logits = _logits(model, batch)
    finally:
        handle.remove()
    return logits[0] if narrowed else logits[:, :-1][wanted]


def head_of(model: nn.Module) -> nn.Module | None:
    """The module that turns the last hidden states into logits; None where a model does not say."""
    ask = getattr(model, "get_output_embeddings", None)
    head = ask() if ask is not None else None
    return head if isinstance(head, torch.nn.Module) else None


def _logits(model: nn.Module, batch: Batch, **more: Tensor) -> Tensor:
    logits: Tensor = model(input_ids=batch.input_ids, use_cache=False, **more).logits
    return logits


def example_losses(nll: Tensor, targets: Tensor) -> Tensor:
    """Mean over each example's targets.

    Args:
        nll: [b, t], as `token_nll` gives.
        targets: [b, t] bool, at least one per row.

    Returns:
        [b], nats per target token.
    """
    return nll.sum(dim=1) / targets.sum(dim=1)


@dataclass(frozen=True, slots=True)
class PoolLosses:
    """Losses of many examples.

    Attributes:
        response: [n] float64, nats per target token.
        knowledge: [n] float64, nats per target token.
        tokens: [n] int64, target tokens.
    """

    response: Tensor
    knowledge: Tensor
    tokens: Tensor

    @property
    def following(self) -> Tensor:
        """[n] response - knowledge; negative where the context helps."""
        return self.response - self.knowledge

    @property
    def ifd(self) -> Tensor:
        """[n] instruction-following difficulty: the ratio of the two perplexities, exp(following)."""
        return self.following.exp()


def pool_losses(
    model: nn.Module,
    rows: Sequence[Rendered],
    *,
    start_token: int,
    pad_token: int,
    batch_tokens: int = 8192,
    label: str = "losses",
    savepoints: Savepoints | None = None,
) -> PoolLosses:
    """Both losses of every row; the model is used as it is (put it in evaluation mode).

    Args:
        model: A causal language model.
        rows: Rendered examples.
        start_token: `Renderer.start_token`.
        pad_token: `Renderer.pad_token`.
        batch_tokens: Upper bound on rows x padded length of one forward pass.
        label: What the progress bar says, and under what name losses are saved.
        savepoints: Where losses are saved, so that a killed pass goes on; nowhere by default.
    """
    tokens = {"start_token": start_token, "pad_token": pad_token}
    passes = [_Pass(rows, kind, batch_tokens, label, savepoints or Nowhere()) for kind in BOTH]
    response, knowledge = _measured(model, passes, label, **tokens)
    return PoolLosses(response, knowledge, torch.tensor([row.n_targets for row in rows]))


def response_losses(
    model: nn.Module,
    rows: Sequence[Rendered],
    *,
    start_token: int,
    pad_token: int,
    batch_tokens: int = 8192,
    label: str = "losses",
    savepoints: Savepoints | None = None,
) -> Tensor:
    """[n] float64, the response losses alone: one pass instead of two. Arguments as `pool_losses`."""
    only = _Pass(rows, "response", batch_tokens, label, savepoints or Nowhere())
    return _measured(model, [only], label, start_token=start_token, pad_token=pad_token)[0]


class _Pass:
    """One loss of every row, batch by batch, from where it was saved last."""

    def __init__(
        self, rows: Sequence[Rendered], kind: Kind, batch_tokens: int, label: str, savepoints: Savepoints
    ) -> None:
        self._rows, self._kind, self._savepoints = rows, kind, savepoints
        self._name = f"{label}: {kind} losses"
        lengths = [len(row.tokens) if kind == "response" else row.n_targets + 1 for row in rows]
        self._batches = by_length(lengths, max_tokens=batch_tokens)
        saved = savepoints.load(self._name)
        self.losses = torch.zeros(len(rows), dtype=torch.float64)
        self._begin = 0
        if saved is not None:
            self.losses, self._begin = torch.from_numpy(saved["losses"]), int(saved["batches"])

    @property
    def begun(self) -> int:
        """Rows whose loss was saved."""
        return sum(len(places) for places in self._batches[: self._begin])

    def run(self, model: nn.Module, progress: Progress, *, start_token: int, pad_token: int) -> None:
        """Measure what was not saved."""
        device, clock = next(model.parameters()).device, Clock(self._savepoints)
        for done, places in enumerate(self._batches[self._begin :], start=self._begin + 1):
            rows = [self._rows[place] for place in places]
            batch = collate(rows, self._kind, start_token=start_token, pad_token=pad_token).to(device)
            self.losses[places] = example_losses(token_nll(model, batch), batch.targets).double().cpu()
            progress.advance(len(places))
            if clock.due():
                self._savepoints.save(self._name, {"losses": self.losses.numpy(), "batches": np.array(done)})


def _measured(model: nn.Module, passes: Sequence[_Pass], label: str, **tokens: int) -> list[Tensor]:
    total, begun = sum(len(each.losses) for each in passes), sum(each.begun for each in passes)
    with Progress(label, total, unit="passes", begun=begun) as progress, torch.inference_mode():
        for each in passes:
            each.run(model, progress, **tokens)
    return [each.losses for each in passes]
