"""What is done to a raw gradient before it is projected. Notation: g gradient, m and v the warm-up's AdamW moments.

| name             | row                                                          | linear |
|------------------|--------------------------------------------------------------|--------|
| `none`           | g                                                            | yes    |
| `adam`           | g / (sqrt(v / (1 - 0.999^t)) + 1e-8)                         | yes    |
| `adam-reference` | (0.9 m + 0.1 g) / sqrt(0.999 v + 0.001 g^2 + 1e-8)           | no     |

`adam` scales the gradient as AdamW would, with the denominator frozen at the end of the warm-up (t steps), so
response = knowledge + following holds for rows as it does for losses. `adam-reference` is the transform of the
published BRIEF code (no bias correction, epsilon inside the root), for parity; its following row is the difference of
the transformed response and knowledge gradients, which is not the transform of their difference.
"""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from coresift.errors import FeatureError

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class Moments(Protocol):
    """AdamW state of the warm-up, by parameter name."""

    @property
    def first(self) -> Mapping[str, Tensor]:
        """Running mean of the gradient."""
        ...

    @property
    def second(self) -> Mapping[str, Tensor]:
        """Running mean of its square."""
        ...

    @property
    def step(self) -> int:
        """Optimizer steps taken."""
        ...


class Preconditioner:
    """One of the three transforms, applied to one parameter tensor at a time: `apply`, then times `scale`.

    Args:
        kind: `none`, `adam` or `adam-reference`.
        moments: The warm-up's AdamW state; needed unless `kind` is `none`.
        names: Parameter names in the recorded order.
        device: Where the gradients live.

    Raises:
        FeatureError: If moments are needed and absent.
    """

    def __init__(
        self, kind: str, moments: Moments | None, names: list[str], device: torch.device | str = "cpu"
    ) -> None:
        self.kind = kind
        if kind == "none":
            return
        if moments is None:
            raise FeatureError(
                f"preconditioner {kind!r} needs the AdamW moments of the warm-up, and there are none. "
                "Run the warm-up stage first or set method.preconditioner=none."
            )
        missing = [name for name in names if name not in moments.second]
        if len(missing) > 0:
            raise FeatureError(
                f"the warm-up's AdamW moments lack {missing[0]!r} ({len(missing)} of {len(names)} LoRA tensors). "
                "They belong to another adapter: run the warm-up again."
            )
        second = {name: moments.second[name].flatten().to(device) for name in names}
        if kind == "adam":
            correction = 1.0 - BETA2 ** max(moments.step, 1)
            self._scales = {name: 1.0 / ((each / correction).sqrt() + EPSILON) for name, each in second.items()}
        else:
            self._second = second
            self._first = {name: moments.first[name].flatten().to(device) for name in names}

    @property
    def memory(self) -> int:
        """Bytes held per parameter entry."""
        return {"none": 0, "adam": 4, "adam-reference": 8}[self.kind]

    def scale(self, name: str) -> Tensor | None:
        """[entries], what `adam` multiplies the gradient of one tensor with; None for the other transforms."""
        return self._scales[name] if self.kind == "adam" else None

    def apply(self, name: str, gradient: Tensor) -> Tensor:
        """What is left to do to the [b, entries] gradients of one tensor before its `scale`; may be nothing."""
        if self.kind != "adam-reference":
            return gradient
        first, second = self._first[name].to(gradient.dtype), self._second[name].to(gradient.dtype)
        return reference_transform(gradient, first, second)


def reference_transform(gradient: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """The published transform: (0.9 m + 0.1 g) / sqrt(0.999 v + 0.001 g^2 + 1e-8), elementwise."""
    momentum = BETA1 * first + (1 - BETA1) * gradient
    return momentum / (BETA2 * second + (1 - BETA2) * gradient.square() + EPSILON).sqrt()
