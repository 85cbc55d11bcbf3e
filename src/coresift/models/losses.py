"""The two losses of an example, in nats per target token.

With y the target tokens of an example (every response and its end marker) and x its context,

    response  = -(1/|y|) sum_t log p(y_t | x, y_<t)
    knowledge = -(1/|y|) sum_t log p(y_t | start, y_<t)
    following = response - knowledge  =  log IFD

over the same token ids and the same count, so that the identity holds for every example, multi-turn ones included.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from coresift.models.batches import Batch, Kind, by_length, collate
from coresift.models.render import Rendered
from coresift.progress import Progress


def token_nll(model: nn.Module, batch: Batch) -> Tensor:
    """Negative log-likelihood of every target token.

    The vocabulary projection runs only on positions that some row of the batch predicts from.

    Returns:
        [b, t], nats, float32 (float64 for a float64 model); exactly 0 off target. Entry (i, t) is the loss of token t.
    """
    wanted = batch.targets[:, 1:]
    columns = wanted.any(dim=0).nonzero().squeeze(1)
    logits = model(
        input_ids=batch.input_ids, attention_mask=batch.attention_mask, use_cache=False, logits_to_keep=columns
    ).logits
    chosen = wanted[:, columns]
    scores = logits[chosen]
    precise = torch.promote_types(scores.dtype, torch.float32)
    losses = cross_entropy(scores.to(precise), batch.input_ids[:, 1:][wanted], reduction="none")
    nll = losses.new_zeros(batch.input_ids.shape)
    nll[batch.targets] = losses
    return nll


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
) -> PoolLosses:
    """Both losses of every row; the model is used as it is (put it in evaluation mode).

    Args:
        model: A causal language model.
        rows: Rendered examples.
        start_token: `Renderer.start_token`.
        pad_token: `Renderer.pad_token`.
        batch_tokens: Upper bound on rows x padded length of one forward pass.
        label: What the progress bar says.
    """
    shared = {"start_token": start_token, "pad_token": pad_token, "batch_tokens": batch_tokens}
    with Progress(label, 2 * len(rows), unit="passes") as progress, torch.inference_mode():
        response = _losses(model, rows, "response", progress, **shared)
        knowledge = _losses(model, rows, "knowledge", progress, **shared)
    return PoolLosses(response.clone(), knowledge.clone(), torch.tensor([row.n_targets for row in rows]))


def response_losses(
    model: nn.Module,
    rows: Sequence[Rendered],
    *,
    start_token: int,
    pad_token: int,
    batch_tokens: int = 8192,
    label: str = "losses",
) -> Tensor:
    """[n] float64, the response losses alone: one pass instead of two. Arguments as `pool_losses`."""
    shared = {"start_token": start_token, "pad_token": pad_token, "batch_tokens": batch_tokens}
    with Progress(label, len(rows), unit="passes") as progress, torch.inference_mode():
        return _losses(model, rows, "response", progress, **shared).clone()


def _losses(
    model: nn.Module,
    rows: Sequence[Rendered],
    kind: Kind,
    progress: Progress,
    *,
    start_token: int,
    pad_token: int,
    batch_tokens: int,
) -> Tensor:
    device = next(model.parameters()).device
    lengths = [len(row.tokens) if kind == "response" else row.n_targets + 1 for row in rows]
    out = torch.zeros(len(rows), dtype=torch.float64)
    for places in by_length(lengths, max_tokens=batch_tokens):
        batch = collate([rows[place] for place in places], kind, start_token=start_token, pad_token=pad_token)
        batch = batch.to(device)
        out[places] = example_losses(token_nll(model, batch), batch.targets).double().cpu()
        progress.advance(len(places))
    return out
