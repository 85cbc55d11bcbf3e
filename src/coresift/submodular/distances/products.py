"""Products of rows with rows, the one expensive step of distances, at the rate the processor has.

On a CPU torch multiplies float32 matrices with the library it was built with, which on some processors uses half of
the vector width. The oneDNN library that torch carries as well does not (433 against 199 GFLOP/s on two cores of a
recent EPYC, equally accurate), and is asked whenever it is there. The choice depends on the machine only, never on a
measurement, so the same rows give the same products.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from coresift.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

FLOAT32 = 4e-6
NOISE = {"highest": FLOAT32, "high": 2.0**-10 + FLOAT32, "medium": 2.0**-7 + FLOAT32}
"""By torch's precision of float32 products: below this part of |x|^2 + |y|^2, |x|^2 + |y|^2 - 2 x.y may be all noise.

`high` may round what is multiplied to the 11 bits of TF32, `medium` to the 8 bits of bfloat16. Each product is then
wrong by at most 2^-10 or 2^-7 of |x| |y|, and the squared distance by as much of |x|^2 + |y|^2.
"""


def noise() -> float:
    """What of NOISE holds now; the most where precisions were set in a way that torch has no single word for."""
    try:
        return NOISE[torch.get_float32_matmul_precision()]
    except RuntimeError:  # set by backend, as in torch.backends.cuda.matmul.fp32_precision = "tf32"
        return max(NOISE.values())


def products(x: Tensor, y: Tensor) -> Tensor:
    """x @ y.T for two stacks of rows (a x d, b x d) of one float type: a x b."""
    if x.device.type == "cpu" and x.dtype == torch.float32 and min(len(x), len(y)) > 1 and (linear := _onednn()):
        return linear(x, y, None, "none", [], "")
    return x @ y.T


@cache
def _onednn() -> Callable[..., Tensor] | None:
    """torch's own binding of oneDNN's float32 product, where this build and this processor have it."""
    if not torch.backends.mkldnn.is_available():
        return None
    try:
        linear: Callable[..., Tensor] = torch.ops.mkldnn._linear_pointwise
        given = torch.arange(12.0).reshape(3, 4)
        same = torch.equal(linear(given, given, None, "none", [], ""), given @ given.T)
    except (AttributeError, RuntimeError, NotImplementedError):  # not every build or processor has it
        return None
    return linear if same else None
