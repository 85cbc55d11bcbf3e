"""Per-example gradients over linear maps, many examples per backward pass.

For example i the gradient of its loss for a linear map y = W x is

    dL_i / dW = sum over tokens t of  (dL_i / dy_it)  x_it^T,

so one backward pass over the *sum* of the batch's losses, stopped at the maps' outputs, holds what every example needs:
examples do not mix in the forward pass (evaluation mode, causal attention, padding on the right and masked), and
padded positions receive exactly zero. No weight gradient is computed or kept: all weights are frozen, and the outputs
of the first maps are where the backward pass ends. So what comes before the first map costs a forward pass only, and
for the language-model head nothing is propagated at all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from coresift.errors import ModelError
from coresift.models.batches import Batch
from coresift.models.losses import example_losses, token_nll


@dataclass
class Contribution:
    """What a batch says about one linear map.

    Attributes:
        name: Of the map.
        inputs: [..., in], the map's inputs x, in the model's dtype.
        sensitivity: [..., out], dL_i / dy, in the model's dtype.
        targets: [b, t] bool, those of the batch.
    """

    name: str
    inputs: Tensor
    sensitivity: Tensor
    targets: Tensor

    @cached_property
    def gradient(self) -> Tensor:
        """[b, out x in], every example's gradient of the map's weight, flat, at least float32."""
        return self.product(self.sensitivity, self.inputs)

    def product(self, sensitivity: Tensor, inputs: Tensor) -> Tensor:
        """[b, out x in], sums over each example's tokens of sensitivity x input^T, both given in the map's layout."""
        precise = torch.promote_types(inputs.dtype, torch.float32)
        left, right = self._by_example(sensitivity.to(precise)), self._by_example(inputs.to(precise))
        return torch.bmm(left.transpose(1, 2), right).flatten(1)

    def _by_example(self, seen: Tensor) -> Tensor:
        """[b, tokens, width]: a map may have seen all tokens in one row, and the head sees targets only."""
        examples, tokens = self.targets.shape
        if seen.dim() == 3 and len(seen) == examples:
            return seen
        if seen.dim() == 2 and len(seen) == examples * tokens:
            return seen.view(examples, tokens, -1)
        counts = self.targets.sum(dim=1).tolist()
        if seen.dim() == 3 and seen.shape[:2] == (1, sum(counts)):
            return pad_sequence(seen[0].split(counts), batch_first=True)
        raise ModelError(
            f"{self.name} reads {tuple(seen.shape)} where {examples} examples of {tokens} tokens run: they cannot be "
            "told apart there. Take the gradients of other weights (of=lora or of=head)."
        )


Take = Callable[[nn.Module, Contribution], None]


class GradientTap:
    """Listens to linear maps while batches run through the model forward and backward.

    Inputs are held by reference, so maps that read the same tensor share it, and both sides are dropped as soon as they
    were taken, while the backward pass goes on.

    Args:
        model: In evaluation mode.
        maps: Name -> linear map, of any kind whose last dimension goes from inputs to outputs.
        take: Called for every map of a batch, from the last to the first.
    """

    def __init__(self, model: nn.Module, maps: Mapping[str, nn.Module], take: Take) -> None:
        self._model, self._maps, self._take = model, dict(maps), take
        self._handles: list[torch.utils.hooks.RemovableHandle] = []
        self._trained: list[nn.Parameter] = []
        self._held: dict[int, tuple[str, Tensor]] = {}
        self._ends: dict[int, Tensor] = {}
        self._targets = torch.empty(0)

    def __enter__(self) -> "GradientTap":
        self._trained = [weight for weight in self._model.parameters() if weight.requires_grad]
        for weight in self._trained:
            weight.requires_grad_(False)
        self._handles = [map.register_forward_hook(self._listener(name)) for name, map in self._maps.items()]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for handle in self._handles:
            handle.remove()
        for weight in self._trained:
            weight.requires_grad_(True)
        self._held.clear()
        self._ends.clear()

    @property
    def held(self) -> list[Tensor]:
        """The inputs that wait for the backward pass; maps that read the same tensor hold it once."""
        return [inputs for _, inputs in self._held.values()]

    def run(self, batch: Batch) -> Tensor:
        """Send one batch through the model and back.

        Returns:
            [b], the loss of every example, nats per target token.

        Raises:
            ModelError: If no map takes part in the forward pass, or one does not see examples one by one.
        """
        losses = self.forward(batch)
        self.backward(losses)
        return losses.detach()

    def forward(self, batch: Batch) -> Tensor:
        """[b], the losses; what the backward pass needs is held. Raises ModelError as `run`."""
        self._targets = batch.targets
        with torch.enable_grad():
            losses = example_losses(token_nll(self._model, batch), batch.targets)
        if len(self._held) == 0:
            raise ModelError(
                f"{type(self._model).__name__} computes its output without {next(iter(self._maps))}: no gradient can "
                "be taken there. Take the gradients of other weights (of=lora, head or linear)."
            )
        return losses

    def backward(self, losses: Tensor) -> None:
        """Propagate the sum of the losses and take what every map needs. Raises ModelError as `run`."""
        ends, self._ends = self._ends, {}
        found = torch.autograd.grad(losses.sum(), list(ends.values()), allow_unused=True)
        for place, sensitivity in zip(ends, found, strict=True):
            if sensitivity is not None:
                self._taken(place, sensitivity)
        self._held.clear()

    def _listener(self, name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def listen(map: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            place = len(self._held)
            self._held[place] = (name, inputs[0].detach())
            if output.requires_grad:
                output.register_hook(lambda sensitivity: self._taken(place, sensitivity))
            else:  # nothing below it is asked for: the backward pass ends here
                self._ends[place] = output.requires_grad_()

        return listen

    def _taken(self, place: int, sensitivity: Tensor) -> None:
        name, inputs = self._held.pop(place)
        self._take(self._maps[name], Contribution(name, inputs, sensitivity, self._targets))
