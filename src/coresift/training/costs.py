"""What a training run costs, counted from its rows.

Floating-point operations per token, with N the weights that multiply (all but an input embedding table that is not also
the output head): forward 2 N, backward 2 N for the activations and 2 N for the gradients of trained weights. Attention
scores are left out, as usual. So full tuning takes 6 N, adapters take 4 N_base + 6 N_adapter.
"""

import math

from torch import nn


def training_flops(model: nn.Module, tokens: int) -> float:
    """Operations of forward and backward over `tokens` real tokens, padding not counted."""
    table = _lookup_only(model)
    weights = [weight for weight in model.parameters() if weight is not table]
    frozen = sum(_entries(weight) for weight in weights if not weight.requires_grad)
    trained = sum(_entries(weight) for weight in weights if weight.requires_grad)
    return float(tokens) * (4 * frozen + 6 * trained)


def forward_flops(model: nn.Module, tokens: int) -> float:
    """Operations of one forward pass over `tokens` real tokens, padding not counted."""
    table = _lookup_only(model)
    return 2.0 * tokens * sum(_entries(weight) for weight in model.parameters() if weight is not table)


def _entries(weight: nn.Parameter) -> int:
    """Weights of a tensor; a 4-bit tensor packs two into one byte and knows its real shape."""
    packed = getattr(weight, "quant_state", None)
    return weight.numel() if packed is None else math.prod(packed.shape)


def _lookup_only(model: nn.Module) -> nn.Parameter | None:
    """The input embedding table, unless it is tied to the output head."""
    get_input, get_output = (getattr(model, f"get_{side}_embeddings", None) for side in ("input", "output"))
    table = getattr(get_input() if get_input else None, "weight", None)
    head = getattr(get_output() if get_output else None, "weight", None)
    return None if table is head else table
