"""Hidden states of a causal model, one row per conversation: means over positions, later positions counting more.

Position-weighted means are from SGPT (Muennighoff, 2022, 2202.08904), as RDS+ uses them (Ivison et al., 2025).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from coresift.execution.base import Executor
from coresift.extract.shards import Account, fill
from coresift.extract.similar import Side, Tally, fill_together, similarities, through
from coresift.features.store import FeatureStore
from coresift.features.targets import HiddenSimilaritySpec, HiddenSpec
from coresift.models.batches import by_length, collate
from coresift.models.render import Rendered


@dataclass(frozen=True)
class HiddenStates:
    """Takes last hidden states.

    Args:
        model: A causal language model in evaluation mode; its head is not run.
        pad_token: Any token; masked.
        batch_tokens: Upper bound on conversations x padded length of one forward pass.
    """

    model: nn.Module
    pad_token: int
    batch_tokens: int = 8192

    @property
    def flops_per_token(self) -> float:
        """Of a forward pass without the head."""
        return 2.0 * sum(weight.numel() for weight in self._body.parameters())

    @property
    def _body(self) -> Any:
        return self.model.base_model

    def rows(self, conversations: Sequence[Rendered]) -> Tensor:
        """sum_t t h_t / sum_t t over the tokens t = 1, 2, ... of every conversation, [n, width] float32 or wider."""
        device = next(self.model.parameters()).device
        found: list[Tensor] = [torch.empty(0)] * len(conversations)
        with torch.inference_mode():
            for places in by_length([len(each.tokens) for each in conversations], max_tokens=self.batch_tokens):
                rows = [conversations[place] for place in places]
                batch = collate(rows, start_token=self.pad_token, pad_token=self.pad_token).to(device)
                hidden = self._body(
                    input_ids=batch.input_ids, attention_mask=batch.attention_mask, use_cache=False
                ).last_hidden_state
                for place, row in zip(places, position_weighted(hidden, batch.attention_mask), strict=True):
                    found[place] = row
        return torch.stack(found)


def position_weighted(hidden: Tensor, mask: Tensor) -> Tensor:
    """The weighted mean above.

    Args:
        hidden: [b, t, d]; what stands at masked positions does not matter.
        mask: [b, t], 1 on real tokens, which come first; at least one per row.

    Returns:
        [b, d], float32 or wider.
    """
    precise = hidden.to(torch.promote_types(hidden.dtype, torch.float32))
    positions = torch.arange(1, hidden.shape[1] + 1, device=hidden.device, dtype=precise.dtype) * mask
    shares = positions / positions.sum(dim=1, keepdim=True)
    return (precise.masked_fill(mask[:, :, None] == 0, 0.0) * shares[:, :, None]).sum(dim=1)


def extract_hidden(
    states: HiddenStates,
    rows: Sequence[Rendered],
    store: FeatureStore,
    spec: HiddenSpec,
    *,
    executor: Executor | None = None,
    account: Account | None = None,
) -> None:
    """Fill the array of `spec`, n x width; arguments as `extract_hidden_similarities`."""

    def compute(shard: range) -> tuple[Tensor, int]:
        part = [rows[row] for row in shard]
        return states.rows(part), sum(len(row.tokens) for row in part)

    fill(
        store.array(spec),
        compute,
        label="hidden states",
        flops_per_token=states.flops_per_token,
        executor=executor,
        account=account,
    )


def extract_hidden_similarities(
    states: HiddenStates,
    rows: Sequence[Rendered],
    target: Sequence[Rendered],
    store: FeatureStore,
    spec: HiddenSimilaritySpec,
    *,
    keep: FeatureStore | None = None,
    executor: Executor | None = None,
    account: Account | None = None,
) -> None:
    """Fill the array of `spec` in one pass over the pool, computing only the shards that are missing.

    Args:
        states: Of the base model.
        rows: The pool, in the order of `store.ids`.
        target: The target examples.
        store: Where similarities go; its identity names model and target.
        spec: What is computed.
        keep: Where the pool's rows are kept too; None to keep similarities alone.
        executor: Runs the shards; this process by default.
        account: Called after every shard with seconds, tokens and flops.
    """
    array, tally = store.array(spec), Tally()
    if len(array.missing()) == 0:
        return
    tally.tokens += sum(len(row.tokens) for row in target)
    shown = states.rows(target)

    def pool(shard: range) -> Tensor:
        part = [rows[row] for row in shard]
        tally.tokens += sum(len(row.tokens) for row in part)
        return states.rows(part)

    side = Side(shown, pool if keep is None else through(keep.array(spec.hidden), pool))
    fill_together(
        [(array, similarities([side]))],
        tally,
        label="similarities",
        flops_per_token=states.flops_per_token,
        executor=executor,
        account=account,
    )
