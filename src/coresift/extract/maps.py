"""Which linear maps of a model a gradient is taken of: the adapter's, the head, all others; all or the last blocks'."""

import re
from collections.abc import Mapping

from torch import nn

from coresift.errors import ModelError
from coresift.features.specs import GradientSpec
from coresift.models.lora import lora_parameters
from coresift.models.losses import head_of

LINEAR = {"Linear", "Conv1D", "Linear4bit", "Linear8bitLt"}
"""Kinds of modules that map the last dimension linearly."""
HEAD = "lm_head"
_ADAPTER = re.compile(r"\blora_[AB]\b")


def maps_of(model: nn.Module, spec: GradientSpec) -> dict[str, nn.Module]:
    """Name -> linear map whose gradients `spec` asks for, in the model's order; LoRA maps by their tensors' names.

    Raises:
        ModelError: If the model has no such maps, its head cannot be tapped, or it has fewer blocks than asked for.
    """
    if spec.of == "head":
        return {HEAD: _tapped_head(model)}
    found = _adapter_maps(model) if spec.of == "lora" else _other_maps(model)
    last = spec.last_layers
    if last is None:
        return found
    kept = last_blocks(model, last)
    return {name: map for name, map in found.items() if any(map is one for block in kept for one in block.modules())}


def _tapped_head(model: nn.Module) -> nn.Module:
    head = head_of(model)
    weight = getattr(head, "weight", None)
    if head is None or weight is None or weight.dim() != 2:
        raise ModelError(
            f"{type(model).__name__} has no language-model head that is one linear map: it cannot be tapped. "
            "Set of=lora or of=linear."
        )
    return head


def blocks_of(model: nn.Module) -> nn.ModuleList:
    """The model's blocks, first to last: the list of modules that holds most of its weights.

    Raises:
        ModelError: If there is no such list.
    """
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    if len(lists) == 0:
        raise ModelError(f"{type(model).__name__} is not made of a list of blocks. Set layers=all.")
    return max(lists, key=size_of)


def last_blocks(model: nn.Module, count: int) -> list[nn.Module]:
    """The last `count` blocks. Raises ModelError if there are not so many."""
    blocks = blocks_of(model)
    if count > len(blocks):
        raise ModelError(
            f"layers is last-{count}, but {type(model).__name__} has {len(blocks)} blocks. "
            f"Ask for at most last-{len(blocks)}."
        )
    return list(blocks)[len(blocks) - count :]


def widths_of(map: nn.Module) -> tuple[int, int]:
    """Widths of the outputs and of the inputs of a linear map."""
    width, depth = getattr(map, "out_features", None), getattr(map, "in_features", None)
    if width is None or depth is None:  # Conv1D holds its weight the other way round
        depth, width = map.weight.shape  # type: ignore[misc]
    return int(width), int(depth)


def size_of(module: nn.Module) -> int:
    """Number of weights."""
    return sum(weight.numel() for weight in module.parameters())


def weights_above(model: nn.Module, maps: Mapping[str, nn.Module]) -> int:
    """Weights that a backward pass to the outputs of `maps` multiplies with: none for the head alone, or all from the
    first block on that holds one of them."""
    wanted = set(maps.values()) - {head_of(model)}
    if len(wanted) == 0:
        return 0
    blocks = list(blocks_of(model))
    first = next((place for place, block in enumerate(blocks) if wanted & set(block.modules())), 0)
    return size_of(model) - sum(map(size_of, blocks[:first]))


def _adapter_maps(model: nn.Module) -> dict[str, nn.Module]:
    owners = {id(map.weight): map for map in model.modules() if isinstance(map, nn.Linear)}
    found: dict[str, nn.Module] = {}
    for name, weight in lora_parameters(model):
        if id(weight) not in owners or owners[id(weight)].bias is not None:
            raise ModelError(f"{name} is not the weight of a linear map without bias: it cannot be tapped.")
        found[name] = owners[id(weight)]
    return found


def _other_maps(model: nn.Module) -> dict[str, nn.Module]:
    blocks = set(blocks_of(model).modules())
    found = {
        name: module
        for name, module in model.named_modules()
        if type(module).__name__ in LINEAR and module in blocks and _ADAPTER.search(name) is None
    }
    if len(found) == 0:
        raise ModelError(f"the blocks of {type(model).__name__} hold no linear maps. Set of=lora or of=head.")
    return found
