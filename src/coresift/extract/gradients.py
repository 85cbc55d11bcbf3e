"""Per-example gradients over the LoRA parameters, many examples per backward pass.

Every LoRA tensor is the weight of a linear map y = W x. For example i the gradient of its loss is

    dL_i / dW = sum over tokens t of  (dL_i / dy_it)  x_it^T,

so one backward pass over the *sum* of the batch's losses, stopped at the maps' outputs, holds what every example needs:
examples do not mix in the forward pass (evaluation mode, causal attention, padding on the right and masked), and
padded positions receive exactly zero. No weight gradient is computed or kept.
"""

from collections.abc import Iterator
from types import TracebackType

import torch
from torch import Tensor, nn

from coresift.errors import ModelError


class GradientTap:
    """Listens to the linear maps whose weights are `names` while a batch runs through the model.

    Args:
        model: A model in evaluation mode, with trainable LoRA maps.
        weights: (name, weight) of the LoRA tensors, in the recorded order.

    Raises:
        ModelError: If a weight does not belong to a linear map without bias.
    """

    def __init__(self, model: nn.Module, weights: list[tuple[str, nn.Parameter]]) -> None:
        owners = {id(map.weight): map for map in model.modules() if isinstance(map, nn.Linear)}
        self._maps: list[nn.Linear] = []
        for name, weight in weights:
            if id(weight) not in owners or owners[id(weight)].bias is not None:
                raise ModelError(f"{name} is not the weight of a linear map without bias: it cannot be tapped.")
            self._maps.append(owners[id(weight)])
        self._inputs: dict[nn.Module, Tensor] = {}
        self._outputs: dict[nn.Module, Tensor] = {}
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> "GradientTap":
        self._handles = [map.register_forward_hook(self._listen) for map in self._maps]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for handle in self._handles:
            handle.remove()
        self._inputs.clear()
        self._outputs.clear()

    def _listen(self, map: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self._inputs[map], self._outputs[map] = inputs[0].detach(), output

    def per_example(self, losses: Tensor) -> Iterator[Tensor]:
        """Gradients of each example's loss for each LoRA tensor, in order.

        Args:
            losses: [b], one loss per example of the batch that just ran.

        Yields:
            [b, entries of the tensor], flat, at least float32.
        """
        outputs = [self._outputs[map] for map in self._maps]
        for map, sensitivity in zip(self._maps, torch.autograd.grad(losses.sum(), outputs), strict=True):
            inputs = self._inputs[map]
            precise = torch.promote_types(inputs.dtype, torch.float32)
            product = torch.einsum("bto,bti->boi", sensitivity.to(precise), inputs.to(precise))
            yield product.flatten(1)
        self._inputs.clear()
        self._outputs.clear()
