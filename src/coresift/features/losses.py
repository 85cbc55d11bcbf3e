"""What is known of the responses: how hard a model finds them, how much easier their instructions make them, how long.

Every array has one column, which the store keeps to the last bit of float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import model_validator

from coresift.errors import SelectionError, SettingsError
from coresift.features.specs import FeatureSpec
from coresift.lazy import torch
from coresift.settings import Settings
from coresift.submodular.distances.rows import check_rows

if TYPE_CHECKING:
    from torch import Tensor

Ratio = Literal["perplexity", "loss"]
NOT_SCORED = -1.0
"""In place of the loss of a conversation that is longer than the model takes: nothing is cut."""


class LossSpec(FeatureSpec):
    """Mean loss of the target tokens of every example, n x 1, nats per token; `NOT_SCORED` where there is none.

    Attributes:
        loss: `response`, with its instruction before it, or `knowledge`, the response alone.
        model: Name or path of the model; "" for the base model of the run. Another model has its own tokenizer and chat
            template, or the plain one where it has none.
        warmup: Under the adapter of the run's warm-up. Base model only.

    Raises:
        SettingsError: If another model is to be warmed up.
    """

    loss: Literal["response", "knowledge"]
    model: str = ""
    warmup: bool = False

    @model_validator(mode="after")
    def _own_adapter(self) -> LossSpec:
        if self.warmup and self.model:
            raise SettingsError(
                f"warmup is set and model is {self.model!r}: only the base model of the run is warmed up. "
                "Leave one of them out."
            )
        return self

    @property
    def key(self) -> str:
        """For example `loss-response-1f2e3d4c`."""
        return f"loss-{self.loss}-{self._hash}"


class LengthSpec(FeatureSpec):
    """Target tokens of every example, n x 1: its responses and their end markers, under the base model's tokenizer."""


class Losses(Settings):
    """Settings of a method that looks at the losses of one model; every field as in `LossSpec`."""

    model: str = ""
    warmup: bool = False

    @model_validator(mode="after")
    def _losses_make_sense(self) -> Losses:
        self.loss_of("response")  # its own checks speak before any work is done
        return self

    def loss_of(self, loss: Literal["response", "knowledge"]) -> LossSpec:
        """One of the losses under these settings."""
        return LossSpec(loss=loss, model=self.model, warmup=self.warmup)


def ratio(response: np.ndarray, alone: np.ndarray, form: Ratio = "perplexity") -> np.ndarray:
    """[n] difficulty from the loss with the instruction and the loss of the response alone; may be not finite.

    >>> ratio(np.array([1.2]), np.array([2.4])).round(6), ratio(np.array([1.2]), np.array([2.4]), "loss")
    (array([0.301194]), array([0.5]))
    """
    with np.errstate(all="ignore"):
        return np.exp(response - alone) if form == "perplexity" else response / alone


def column(rows: Tensor, *, name: str) -> np.ndarray:
    """The single column of an array, float64 [n].

    Raises:
        SelectionError: If a value is not finite, or there is not exactly one column.
    """
    check_rows(rows, name=name)
    if rows.shape[1] != 1:
        raise SelectionError(f"{name} of shape {tuple(rows.shape)}. Pass one number per example: n x 1.")
    return rows.detach()[:, 0].to("cpu", torch.float64).numpy()
