"""How much memory an extraction takes: what a model holds between its two passes is measured on a few tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from coresift.extract.gradients import Contribution, GradientTap
from coresift.extract.maps import blocks_of, widths_of
from coresift.extract.projections import Projection
from coresift.models.batches import Batch
from coresift.models.losses import head_of

PROBED = 32
"""Tokens of the batch that is measured."""


@dataclass(frozen=True)
class Footprint:
    """What a model holds from the forward to the backward pass, beside its weights, in bytes.

    Attributes:
        activations: What autograd keeps, per token.
        tapped: Inputs that the taps alone keep, per token.
        scores: Per target: logits, logarithms of probabilities and their gradient, as wide as the vocabulary.
    """

    activations: float
    tapped: float
    scores: float

    @classmethod
    def of(cls, model: nn.Module, maps: Mapping[str, nn.Module], batch: Batch) -> "Footprint":
        """Measured by one forward pass.

        Args:
            model: In evaluation mode.
            maps: What is tapped.
            batch: Of one example.
        """
        weights, vocabulary = set(map(_place, model.parameters())), vocabulary_of(model)
        kept: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            if _place(tensor) not in weights and tensor.shape[-1:] != (vocabulary,):
                kept[_place(tensor)] = tensor.untyped_storage().nbytes()
            return tensor

        with (
            GradientTap(model, maps, _nothing) as tap,
            torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        ):
            losses = tap.forward(batch)
            held = {_place(each): each.untyped_storage().nbytes() for each in tap.held}
            del losses
        tokens, precision = batch.input_ids.numel(), next(model.parameters()).element_size()
        alone = sum(size for place, size in held.items() if place not in kept)
        copies = precision + 8 + (0 if precision >= 4 else 2 + precision)
        return cls(sum(kept.values()) / tokens, alone / tokens, float(vocabulary * copies))


def predicted_memory(
    model: nn.Module,
    found: Footprint,
    projections: Sequence[Projection],
    *,
    tokens: int,
    examples: int,
    rows: int,
) -> dict[str, int]:
    """Bytes held at the peak of an extraction, by what holds them; the interpreter and its libraries not counted.

    Args:
        model: As it is loaded.
        found: Of this model and what is tapped.
        projections: All of them.
        tokens: Examples x padded length of the largest batch, all of them targets at worst.
        examples: Examples of the batch that has most.
        rows: Numbers of the projected rows that are held, over all specs.
    """
    weights = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    block = found.activations / max(len(blocks_of(model)), 1)
    return {
        "weights": weights,
        "activations": round(tokens * found.activations),
        "tapped inputs": round(tokens * found.tapped),
        "gradients of one block": round(tokens * block),
        "scores over the vocabulary": round(tokens * found.scores),
        "largest per-example gradient": examples * max((each.largest for each in projections), default=0) * 4,
        "signs and moments": sum(each.memory for each in projections),
        "projected rows": rows * 4,
    }


def describe_memory(parts: Mapping[str, int]) -> str:
    """One line: predicted bytes in total and by part, in MiB."""
    shown = ", ".join(f"{name} {bytes / 2**20:.0f}" for name, bytes in parts.items() if bytes > 0)
    return f"predicted memory for gradients: {sum(parts.values()) / 2**20:.0f} MiB ({shown})"


def vocabulary_of(model: nn.Module) -> int:
    """Width of the logits; 0 where a model does not say."""
    head = head_of(model)
    return 0 if head is None else widths_of(head)[0]


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _nothing(map: nn.Module, seen: Contribution) -> None:
    pass
