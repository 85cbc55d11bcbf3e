"""How hard every example is before training begins, and what its first utility is.

    difficulty   perplexity ratio  exp(L(y|x) - L(y)), instruction-following difficulty; or the ratio of the losses,
                 L(y|x) / L(y), by name
    utility      L(y|x) under the base model

with L the mean loss of the response tokens in nats. Where the model that is asked about difficulty is the base model,
one pass over the conversations serves both, and a short pass over the responses alone gives L(y); with an adapter of
the base model, one more pass with the adapter switched off.

An example whose difficulty means nothing has NaN there and a reason: it is in no cluster, least of all the easiest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from coresift.features.losses import Ratio, ratio
from coresift.models.losses import pool_losses, response_losses
from coresift.models.render import Rendered
from coresift.savepoints import Savepoints

if TYPE_CHECKING:
    from torch import nn

NOT_FINITE = "its loss is not a finite number"
UNHELPFUL = "its instruction does not make the response easier"


@dataclass(frozen=True, slots=True)
class Difficulty:
    """What is known of every example before the first round.

    Attributes:
        values: [n] float64, NaN where invalid; at most 1 unless unhelpful instructions are kept.
        utilities: [n] float64, nats per response token under the base model; NaN where the loss is not finite.
        reasons: [n] why a value is NaN; empty where it is not.
        tokens: Tokens that went through a model.
    """

    values: np.ndarray
    utilities: np.ndarray
    reasons: tuple[str, ...]
    tokens: int

    @property
    def invalid(self) -> dict[str, int]:
        """Reason -> how many examples."""
        return dict(Counter(reason for reason in self.reasons if reason))


def checked(values: np.ndarray, utilities: np.ndarray, *, keep_unhelpful: bool = False, tokens: int = 0) -> Difficulty:
    """Difficulties whose invalid ones are NaN and carry a reason.

    Args:
        values: [n] as `ratio` gives.
        utilities: [n] losses under the base model.
        keep_unhelpful: Whether a difficulty above 1, where the instruction does not help, is kept as it is.
        tokens: As `Difficulty.tokens`.
    """
    broken = ~(np.isfinite(values) & np.isfinite(utilities))
    unhelpful = ~broken & (values > 1.0) & (not keep_unhelpful)
    reasons = np.where(broken, NOT_FINITE, np.where(unhelpful, UNHELPFUL, ""))
    kept = np.where(broken | unhelpful, np.nan, values)
    return Difficulty(kept, np.where(np.isfinite(utilities), utilities, np.nan), tuple(map(str, reasons)), tokens)


def measure_difficulty(
    model: nn.Module,
    rows: Sequence[Rendered],
    *,
    start_token: int,
    pad_token: int,
    form: Ratio = "perplexity",
    keep_unhelpful: bool = False,
    batch_tokens: int = 8192,
    savepoints: Savepoints | None = None,
) -> Difficulty:
    """Score every row.

    Args:
        model: The base model, or the base model with the adapter of a warm-up on it: difficulty is asked of the model
            as it is, the first utility always of the base model. In evaluation mode.
        rows: Rendered examples.
        start_token: `Renderer.start_token`.
        pad_token: `Renderer.pad_token`.
        form: Which ratio.
        keep_unhelpful: As `checked`.
        batch_tokens: Upper bound on rows x padded length of one forward pass.
        savepoints: Where losses are saved, so that a killed pass goes on; nowhere by default.
    """
    shared: dict[str, Any] = {"start_token": start_token, "pad_token": pad_token, "batch_tokens": batch_tokens}
    shared["savepoints"] = savepoints
    found = pool_losses(model, rows, label="difficulty", **shared)
    whole, alone = sum(len(row.tokens) for row in rows), sum(row.n_targets + 1 for row in rows)
    response, utilities = found.response.numpy(), found.response.numpy()
    switched_off = getattr(model, "disable_adapter", None)
    if switched_off is not None:
        with switched_off():
            utilities = response_losses(model, rows, label="first utilities", **shared).numpy()
        whole *= 2
    values = ratio(response, found.knowledge.numpy(), form)
    return checked(values, utilities, keep_unhelpful=keep_unhelpful, tokens=whole + alone)
