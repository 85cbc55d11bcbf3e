"""Greedy answers, many prompts at a time."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import nn

from coresift.progress import Progress


def generate(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    *,
    stop_tokens: Sequence[int],
    pad_token: int,
    max_new_tokens: int,
    batch_size: int = 64,
    label: str = "answers",
) -> list[tuple[int, ...]]:
    """Continue every prompt greedily until a stop token or `max_new_tokens`.

    `model` is a Hugging Face causal language model (it needs `generate`), in evaluation mode. Prompts run sorted
    by length, padded on the left; answers come back in the order of the prompts, without the stop token.
    """
    order = sorted(range(len(prompts)), key=lambda place: (len(prompts[place]), place))
    answers: list[tuple[int, ...]] = [()] * len(prompts)
    device = next(model.parameters()).device
    with Progress(label, len(prompts), unit="prompts") as progress, torch.inference_mode():
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            ids, mask = _pad_left([prompts[place] for place in places], pad_token)
            continued = cast(Any, model).generate(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                do_sample=False,
                max_new_tokens=max_new_tokens,
                eos_token_id=list(stop_tokens),
                pad_token_id=pad_token,
                use_cache=True,
            )
            for place, tokens in zip(places, continued[:, ids.shape[1] :].tolist(), strict=True):
                answers[place] = _until_stop(tokens, stop_tokens)
            progress.advance(len(places))
    return answers


def _pad_left(prompts: Sequence[Sequence[int]], pad_token: int) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), width), pad_token)
    mask = torch.zeros(len(prompts), width, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(list(prompt))
        mask[row, width - len(prompt) :] = 1
    return ids, mask


def _until_stop(tokens: Sequence[int], stop_tokens: Sequence[int]) -> tuple[int, ...]:
    stops = set(stop_tokens)
    kept: list[int] = []
    for token in tokens:
        if token in stops:
            break
        kept.append(token)
    return tuple(kept)
