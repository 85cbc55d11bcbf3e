"""Teacher-forced log-probabilities of responses: after a prefix whose keys and values are computed once, or whole.

The vocabulary projection runs on the positions that predict a response token and on no others.
"""

import contextlib
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from coresift.models.batches import by_length

REACH = 8
"""Rows x (prefix + suffix) of one forward pass stay within this many times `batch_tokens`."""
CHUNK = {"cpu": 1 << 22}
"""Logits made into float32 log-probabilities at a time: few enough to stay in a CPU's cache; elsewhere `MANY`."""
MANY = 1 << 27


def whole(
    model: nn.Module, sequences: Sequence[np.ndarray], n_targets: Sequence[int], *, batch_tokens: int
) -> list[Tensor]:
    """Log-probabilities of the last tokens of every sequence, each sequence read from its start.

    Args:
        model: A causal language model in evaluation mode.
        sequences: Token ids.
        n_targets: How many tokens at the end of each are predicted; fewer than it has.
        batch_tokens: Upper bound on rows x padded length of one forward pass (one longer sequence still runs).

    Returns:
        One float32 tensor [n_targets] per sequence, nats, on the model's device.
    """
    found: list[Tensor | None] = [None] * len(sequences)
    for places in by_length([len(tokens) for tokens in sequences], max_tokens=batch_tokens):
        ids, mask, wanted = _pad([sequences[p] for p in places], [n_targets[p] for p in places], _device(model))
        logs = _forward(model, ids, wanted, attention_mask=mask, use_cache=False)
        for place, part in zip(places, logs.split([n_targets[p] for p in places]), strict=True):
            found[place] = part
    return [part for part in found if part is not None]


def after(
    model: nn.Module,
    prefix: Sequence[int],
    suffixes: Sequence[np.ndarray],
    n_targets: Sequence[int],
    *,
    batch_tokens: int,
) -> list[Tensor]:
    """The same for `prefix` + every suffix, the prefix read once.

    Right padding needs no mask: causal attention keeps what comes after a token from changing it.

    Args:
        model: As in `whole`; its attention layers must take keys and values from a cache.
        prefix: Token ids, at least one.
        suffixes: Token ids.
        n_targets: As in `whole`; fewer than the suffix has.
        batch_tokens: Upper bound on rows x padded suffix length of one forward pass.
    """
    from coresift.extract.icl_cache import shared_cache

    cache, length = shared_cache(model, prefix), len(prefix)
    found: list[Tensor | None] = [None] * len(suffixes)
    for places in _batches([len(tokens) for tokens in suffixes], length, batch_tokens):
        ids, _, wanted = _pad([suffixes[p] for p in places], [n_targets[p] for p in places], _device(model))
        positions = torch.arange(length, length + ids.shape[1], device=ids.device)[None]
        logs = _forward(model, ids, wanted, position_ids=positions, past_key_values=cache, use_cache=True)
        for place, part in zip(places, logs.split([n_targets[p] for p in places]), strict=True):
            found[place] = part
    return [part for part in found if part is not None]


def why_not_shared(model: nn.Module) -> str | None:
    """Why a model's memory of a prefix cannot be handed to several rows; None if nothing is known against it."""
    from coresift.extract.icl_cache import has_recurrent_layers

    given: Any = model
    inner = given.get_base_model() if hasattr(given, "get_base_model") else given
    if "past_key_values" not in inspect.signature(inner.forward).parameters:
        return "it takes no keys and values"
    return "it has recurrent layers" if has_recurrent_layers(given.config) else None


def _batches(lengths: Sequence[int], prefix: int, batch_tokens: int) -> Iterator[list[int]]:
    """Places of similar length, also bounded by what their attention reaches over."""
    for group in by_length(lengths, max_tokens=batch_tokens):
        most = max(REACH * batch_tokens // (prefix + lengths[group[-1]]), 1)
        for start in range(0, len(group), most):
            yield group[start : start + most]


def _pad(
    sequences: Sequence[np.ndarray], n_targets: Sequence[int], device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Ids [b, t], padded on the right with 0; mask [b, t]; and where a position predicts a target [b, t]."""
    lengths = np.array([len(tokens) for tokens in sequences])
    ids = np.zeros((len(sequences), int(lengths.max())), dtype=np.int64)
    for row, tokens in enumerate(sequences):
        ids[row, : len(tokens)] = tokens
    places = np.arange(ids.shape[1])
    wanted = (places >= (lengths - 1 - np.array(n_targets))[:, None]) & (places < (lengths - 1)[:, None])
    mask = (places < lengths[:, None]).astype(np.int64)
    return tuple(torch.from_numpy(array).to(device) for array in (ids, mask, wanted))  # type: ignore[return-value]


def _forward(model: nn.Module, ids: Tensor, wanted: Tensor, **how: Any) -> Tensor:
    """Log-probabilities of the wanted positions' next tokens, row after row, float32 or wider."""
    with torch.inference_mode(), _head_on(model, wanted) as chosen:
        logits = model(input_ids=ids, **how).logits
        scores = logits[0] if chosen else logits[wanted]
        targets = ids[:, 1:][wanted[:, :-1]]
        rows = max(CHUNK.get(scores.device.type, MANY) // scores.shape[-1], 1)
        parts = zip(scores.split(rows), targets.split(rows), strict=True)
        return torch.cat([_log_probabilities(*part) for part in parts])


def _log_probabilities(scores: Tensor, targets: Tensor) -> Tensor:
    precise = scores.to(torch.promote_types(scores.dtype, torch.float32))
    return -cross_entropy(precise, targets, reduction="none")


@contextlib.contextmanager
def _head_on(model: nn.Module, wanted: Tensor) -> Iterator[list[bool]]:
    """Let the vocabulary projection see only the wanted positions; the list is not empty once it has."""
    chosen: list[bool] = []
    head = model.get_output_embeddings()  # type: ignore[operator]

    def pick(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
        hidden, *rest = given
        if hidden.shape[:2] != wanted.shape:
            return None
        chosen.append(True)
        return (hidden[wanted][None], *rest)

    hook = head.register_forward_pre_hook(pick) if head is not None else None
    try:
        yield chosen
    finally:
        if hook is not None:
            hook.remove()


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
