"""Losses and lengths of every response into the feature store: forward passes only."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from coresift.execution.base import Executor
from coresift.extract.shards import Account, fill
from coresift.features.losses import NOT_SCORED, LengthSpec, LossSpec
from coresift.features.store import FeatureStore
from coresift.models.batches import by_length, collate
from coresift.models.losses import example_losses, token_nll
from coresift.models.render import Rendered


def extract_losses(
    model: nn.Module,
    rows: Sequence[Rendered | None],
    store: FeatureStore,
    spec: LossSpec,
    *,
    start_token: int,
    pad_token: int,
    batch_tokens: int = 8192,
    executor: Executor | None = None,
    account: Account | None = None,
) -> None:
    """Fill the array of `spec`, computing only the shards that are missing.

    Args:
        model: The model that `spec` names, in evaluation mode.
        rows: The pool as that model's tokens, in the order of `store.ids`; None where a conversation is too long for
            it, which leaves `NOT_SCORED`.
        store: Where the rows go; its identity names the model.
        spec: Which loss.
        start_token: `Renderer.start_token`.
        pad_token: `Renderer.pad_token`.
        batch_tokens: Upper bound on rows x padded length of one forward pass.
        executor: Runs the shards; this process by default.
        account: Called after every shard with its seconds, tokens and flops.

    Raises:
        FeatureError: If a loss is not finite; the examples are named.
    """
    flops = 2.0 * sum(weight.numel() for weight in model.parameters())

    def compute(shard: range) -> tuple[Tensor, int]:
        here = [(place, row) for place, index in enumerate(shard) if (row := rows[index]) is not None]
        lengths = [len(row.tokens) if spec.loss == "response" else row.n_targets + 1 for _, row in here]
        losses = torch.full((len(shard), 1), NOT_SCORED)
        with torch.inference_mode():
            for places in by_length(lengths, max_tokens=batch_tokens):
                chosen = [here[place] for place in places]
                batch = collate([row for _, row in chosen], spec.loss, start_token=start_token, pad_token=pad_token)
                batch = batch.to(next(model.parameters()).device)
                found = example_losses(token_nll(model, batch), batch.targets)
                losses[[place for place, _ in chosen], 0] = found.float().cpu()
        return losses, sum(lengths)

    fill(
        store.array(spec),
        compute,
        label=f"{spec.loss} losses",
        flops_per_token=flops,
        executor=executor,
        account=account,
    )


def extract_lengths(rows: Sequence[Rendered], store: FeatureStore, spec: LengthSpec) -> None:
    """Fill the array of `spec` from the rendered pool; no model is run."""

    def compute(shard: range) -> tuple[Tensor, int]:
        return torch.tensor([[float(rows[index].n_targets)] for index in shard]), 0

    fill(store.array(spec), compute, label="lengths")
