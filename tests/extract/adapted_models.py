"""Tiny models with LoRA maps that do something, and their gradients by plain autograd."""

import tiny
import torch
from torch import nn

from coresift.models.batches import collate
from coresift.models.lora import LoraSettings, attach_lora, lora_parameters
from coresift.models.losses import example_losses, token_nll
from coresift.models.render import Renderer
from coresift.models.rendered_pool import render_pool

LORA = LoraSettings(rank=4, alpha=8, dropout=0.1)


def adapted(architecture: str, dtype: torch.dtype = torch.float64) -> nn.Module:
    """A tiny model with LoRA maps that already do something."""
    model = attach_lora(tiny.model(architecture, dtype=dtype), LORA, seed=1).to(dtype)
    noise = torch.Generator().manual_seed(2)
    for _, weight in lora_parameters(model):
        weight.data += 0.1 * torch.randn(weight.shape, generator=noise, dtype=dtype)
    return model


def rendered(architecture: str, n: int = 7) -> tuple[Renderer, list]:
    renderer = Renderer(tiny.tokenizer(tiny.ARCHITECTURES[architecture]), max_tokens=256)
    return renderer, [row for row in render_pool(tiny.pool(n), renderer).rows if row is not None]


def one_by_one(model: nn.Module, rows: list, renderer: Renderer, kind: str) -> torch.Tensor:
    """Plain autograd, a batch of one, gradients of the weights themselves."""
    weights = [weight for _, weight in lora_parameters(model)]
    out = []
    for row in rows:
        batch = collate([row], kind, start_token=renderer.start_token, pad_token=renderer.pad_token)
        loss = example_losses(token_nll(model, batch), batch.targets).sum()
        out.append(torch.cat([gradient.flatten() for gradient in torch.autograd.grad(loss, weights)]))
    return torch.stack(out)
