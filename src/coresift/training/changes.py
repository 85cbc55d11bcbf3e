"""How the parameters moved: what that did to the loss to first order, and in which direction a round went.

For an optimizer step from p to q with g the gradient of the step's mean loss,

    d = <g, q - p>

is the first-order change of that loss, whatever the optimizer: for plain SGD it is -rate * |g|^2, for AdamW it is not.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Parameters = Sequence[nn.Parameter]


class FirstOrder:
    """Measures d at every optimizer step; costs one copy of the trained parameters and a few operations on each.

    Args:
        weights: The trained parameters.
    """

    def __init__(self, weights: Parameters) -> None:
        self._weights = list(weights)
        self._before: list[Tensor] = []
        self._steps: list[Tensor] = []

    def before(self) -> None:
        """To be called when the gradient of a step is there and the step is not taken yet."""
        values = [weight.detach() for weight in self._weights]
        if len(self._before) == 0:
            self._before = [value.clone() for value in values]
        else:
            torch._foreach_copy_(self._before, values)

    def after(self, shrunk: Tensor | float = 1.0) -> None:
        """To be called when the step is taken and the gradient is still there.

        Args:
            shrunk: By what factor clipping multiplied the gradient: the loss changes by the gradient as it was.
        """
        moved = [(weight, before) for weight, before in zip(self._weights, self._before, strict=True)]
        pairs = [(weight.grad, weight.detach(), before) for weight, before in moved if weight.grad is not None]
        gradients, now, before = (list(each) for each in zip(*pairs, strict=True))
        torch._foreach_sub_(before, now)
        torch._foreach_mul_(before, gradients)
        total = torch.stack([part.sum() for part in before]).sum()
        self._steps.append(-total / shrunk)

    def take(self) -> list[float]:
        """d of every step since the last call, nats; waits for the device once."""
        found = torch.stack(self._steps).double().tolist() if self._steps else []
        self._steps = []
        return [float(value) for value in found]


def rest_of_round(steps: Sequence[float]) -> list[float]:
    """What is left of a round at each of its steps: the sum of d over that step and all later ones.

    >>> rest_of_round([-3.0, -2.0, -1.0])
    [-6.0, -3.0, -1.0]
    """
    left: list[float] = []
    for change in reversed(steps):
        left.append((left[-1] if left else 0.0) + change)
    return left[::-1]


class Directions:
    """In which direction the last layer moved: in the round before, and in the last round of every arm.

    Args:
        weights: The parameters that are followed.
    """

    def __init__(self, weights: Parameters) -> None:
        self._weights = list(weights)
        self._start: Tensor | None = None
        self._kept: dict[str, Tensor] = {}

    def begin(self) -> None:
        """Remember where the parameters are."""
        self._start = self._flat()

    def cosine(self, arm: Any) -> float | None:
        """Between the last round of `arm` and the round before this one; None where there was none, or no movement."""
        own, previous = self._kept.get(f"arm.{arm}"), self._kept.get("previous")
        if own is None or previous is None:
            return None
        products = [float((one.double() * other.double()).sum()) for one, other in _pairs(own, previous)]
        if products[1] == 0.0 or products[2] == 0.0:
            return None
        # The last digits of sums depend on where tensors lie in memory, and a resumed run must not.
        return round(max(-1.0, min(1.0, products[0] / math.sqrt(products[1] * products[2]))), 9)

    def end(self, arm: Any) -> None:
        """Keep this round's movement."""
        assert self._start is not None, "a round ends after it began"
        moved = self._flat() - self._start
        self._kept["previous"] = self._kept[f"arm.{arm}"] = moved

    def to_tensors(self) -> dict[str, Tensor]:
        """What is saved: one vector per arm that was drawn, and one for the round before."""
        return {name: tensor.cpu().clone() for name, tensor in self._kept.items()}

    def from_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what was saved."""
        self._kept = {name: tensor.to(self._weights[0].device) for name, tensor in tensors.items()}

    def _flat(self) -> Tensor:
        return torch.cat([weight.detach().float().reshape(-1) for weight in self._weights])


def _pairs(one: Tensor, other: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
    return (one, other), (one, one), (other, other)


def last_layer(model: nn.Module) -> list[nn.Parameter]:
    """The trained parameters of the highest numbered layer; all trained ones where layers are not numbered."""
    trained = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    numbers = [max((int(part) for part in name.split(".") if part.isdigit()), default=-1) for name, _ in trained]
    highest = max(numbers)
    return [weight for (_, weight), number in zip(trained, numbers, strict=True) if number == highest]
