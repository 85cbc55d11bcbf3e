"""How much an example, shown in context, helps a model give another example's response: the utilities of DELIFT.

A utility compares the probabilities of the same response tokens without and with the example in front of the query,
teacher-forced. One column holds what one example is worth to every row; its keys and values are computed once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from coresift.data.pool import Example
from coresift.errors import SettingsError
from coresift.extract.icl_cost import ModelCost, model_cost
from coresift.extract.icl_metrics import METRICS, MetricName, distances, utility
from coresift.extract.icl_prefix import after, whole, why_not_shared
from coresift.extract.icl_prompts import Prompts, Question, TemplateName, prompts_of
from coresift.extract.icl_shorten import room_for, shortened
from coresift.progress import Progress

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4}
"""Largest difference of a distance that sharing may make before it is given up; 16-bit types: 2e-2."""
PROBED = 4
"""Rows of the first column that are computed both ways."""


@dataclass
class Counts:
    """What did not go through as it was; a pair is one example with one row."""

    shortened: int = 0
    """Pairs whose example lost text to make room."""
    unscorable: int = 0
    """Pairs without a utility, held as 0: the query and response alone leave no room for an example."""

    def add(self, other: "Counts") -> None:
        """Add up."""
        self.shortened += other.shortened
        self.unscorable += other.unscorable


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Examples to be predicted, ready for any number of columns.

    Attributes:
        questions: One each.
        alone: [m] float64, distance without an example; NaN where even that is longer than the model takes.
    """

    questions: tuple[Question, ...]
    alone: Tensor

    def __len__(self) -> int:
        return len(self.questions)


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """What one example is worth.

    Attributes:
        utility: [m] float32, signed.
        counts: Of this column.
    """

    utility: Tensor
    counts: Counts


@dataclass
class UtilityScorer:
    """Computes utilities; the model is used as it is (put it in evaluation mode).

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        template: "chat" (the model's own template), "delift" (the plain prompts of the DELIFT code), or prompts of
            one's own.
        metric: What is compared (`icl_metrics`).
        max_tokens: Longest input; a model that takes fewer positions sets the limit.
        batch_tokens: Upper bound on rows x padded length of one forward pass.
        share_prefix: Compute the keys and values of an example once. Where a model does not allow it, pairs are encoded
            whole.
        say: Called with one line of text when that happens.
    """

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    template: TemplateName | Prompts = "chat"
    metric: MetricName = "l2"
    max_tokens: int = 2048
    batch_tokens: int = 8192
    share_prefix: bool = True
    say: Callable[[str], None] | None = None
    counts: Counts = field(default_factory=Counts, init=False)
    tokens: int = field(default=0, init=False)
    """Tokens that went through the model so far, padding not counted."""
    flops: float = field(default=0.0, init=False)
    """Operations for them, by the model of `icl_cost`."""

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise SettingsError(f"metric is {self.metric!r}; it must be one of {', '.join(METRICS)}.")
        self.prompts = self._prompts()
        limit = getattr(self.model.config, "max_position_embeddings", None) or self.max_tokens
        self.limit = min(self.max_tokens, limit)
        self._cost: ModelCost = model_cost(self.model)
        self._checked = not self.share_prefix

    def _prompts(self) -> Prompts:
        if not isinstance(self.template, str):
            return self.template
        if self.template not in ("chat", "delift"):
            raise SettingsError(f"template is {self.template!r}; it must be chat or delift.")
        return prompts_of(self.template, self.tokenizer)

    def rows(self, examples: Sequence[Example], *, label: str = "responses without an example") -> Rows:
        """Prepare examples to be predicted, once for all columns.

        Raises:
            DataError: If a response is empty or has no query.
            RenderError: If the chat template alters a response or shows a turn differently in other company.
        """
        questions = tuple(self.prompts.question(example) for example in examples)
        alone = torch.full((len(questions),), torch.nan, dtype=torch.float64)
        fit = [place for place, question in enumerate(questions) if len(question.alone) <= self.limit]
        with Progress(label, len(fit), unit="rows") as progress:
            for start in range(0, len(fit), 256):
                places = fit[start : start + 256]
                parts = [questions[place] for place in places]
                logs = self._whole([part.alone for part in parts], [part.n_targets for part in parts])
                alone[places] = distances(logs, self.metric)
                progress.advance(len(places))
        return Rows(questions, alone)

    def alone(self, examples: Sequence[Example]) -> Tensor:
        """Distance of every response without an example, float64 [m]; NaN where it is longer than the model takes."""
        return self.rows(examples).alone

    def columns(self, examples: Sequence[Example], rows: Sequence[Example] | Rows) -> Tensor:
        """Utilities, float32 [len(examples), len(rows)]: entry (j, i) is what example j is worth to row i.

        Pairs that cannot be scored hold 0 and are counted in `counts`.

        Raises:
            DataError, RenderError: As `rows`.
        """
        ready = rows if isinstance(rows, Rows) else self.rows(rows)
        found = torch.zeros(len(examples), len(ready))
        for place, example in enumerate(examples):
            column = self.column(example, ready)
            self.counts.add(column.counts)
            found[place] = column.utility
        return found

    def column(self, example: Example, rows: Rows, only: Sequence[int] | None = None) -> Column:
        """What one example is worth to every row, or to those at the positions `only`, in their order."""
        places = range(len(rows)) if only is None else only
        found, counts = torch.zeros(len(places)), Counts()
        for prefix, members in self._groups(example, rows, places, counts):
            chosen = [places[member] for member in members]
            shown = self._distances(prefix, [rows.questions[place] for place in chosen])
            found[members] = utility(rows.alone[chosen], shown, self.metric).float()
        return Column(found, counts)

    def _groups(
        self, example: Example, rows: Rows, places: Sequence[int], counts: Counts
    ) -> list[tuple[tuple[int, ...], list[int]]]:
        """Prefixes, each with the members of `places` that it stands before; what is in none cannot be scored."""
        full = self.prompts.prefix(example)
        groups: dict[int | None, list[int]] = {}
        unknown = rows.alone.isnan()
        for member, place in enumerate(places):
            if unknown[place]:
                counts.unscorable += 1
                continue
            question = rows.questions[place]
            tight = len(full) + len(question.suffix) > self.limit
            room = room_for(self.limit, len(question.suffix)) if tight else None
            groups.setdefault(room, []).append(member)
        found = []
        for room, members in groups.items():
            prefix = full if room is None else shortened(self.prompts, example, room)
            if prefix is None:
                counts.unscorable += len(members)
                continue
            counts.shortened += len(members) if room is not None else 0
            found.append((prefix, members))
        return found

    def _distances(self, prefix: tuple[int, ...], questions: Sequence[Question]) -> Tensor:
        if not self._checked and len(prefix) > 0:
            self._check(prefix, questions)
        shared = self.share_prefix and len(prefix) > 0
        return self._shared(prefix, questions) if shared else self._unshared(prefix, questions)

    def _shared(self, prefix: tuple[int, ...], questions: Sequence[Question]) -> Tensor:
        sizes = [question.n_targets for question in questions]
        suffixes = [question.suffix for question in questions]
        self._count(len(prefix) + sum(map(len, suffixes)), sum(sizes))
        return distances(after(self.model, prefix, suffixes, sizes, batch_tokens=self.batch_tokens), self.metric)

    def _unshared(self, prefix: tuple[int, ...], questions: Sequence[Question]) -> Tensor:
        head = np.array(prefix, dtype=np.int32)
        sequences = [np.concatenate([head, question.suffix]) for question in questions]
        return distances(self._whole(sequences, [question.n_targets for question in questions]), self.metric)

    def _whole(self, sequences: Sequence[np.ndarray], sizes: Sequence[int]) -> list[Tensor]:
        self._count(sum(map(len, sequences)), sum(sizes))
        return whole(self.model, sequences, sizes, batch_tokens=self.batch_tokens)

    def _count(self, tokens: int, predicted: int) -> None:
        self.tokens += tokens
        self.flops += self._cost.flops(tokens, predicted)

    def _check(self, prefix: tuple[int, ...], questions: Sequence[Question]) -> None:
        """Compute some pairs both ways, and give sharing up where it changes them."""
        self._checked = True
        reason = why_not_shared(self.model) or self._difference(prefix, questions[:PROBED])
        if reason is None:
            return
        self.share_prefix = False
        if self.say is not None:
            self.say(
                f"{self.model.config.model_type}: the keys and values of an example cannot be shared ({reason}), so "
                "every pair is encoded whole: the same utilities, more slowly."
            )

    def _difference(self, prefix: tuple[int, ...], questions: Sequence[Question]) -> str | None:
        probe = replace(self, metric="l2")
        right = probe._unshared(prefix, questions)
        try:
            shared = probe._shared(prefix, questions)
        except (TypeError, ValueError, AttributeError, IndexError, NotImplementedError) as error:
            return f"the model refuses them: {type(error).__name__}"
        largest = float((shared - right).abs().max())
        allowed = TOLERANCE.get(self.model.dtype, 2e-2)
        return None if largest <= allowed else f"they change distances by {largest:.2g}"
