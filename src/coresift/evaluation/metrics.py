"""Answers against what was expected: exact match, ROUGE-1, embedding similarity and, where there is one, a judge."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coresift.data.pool import Example
from coresift.errors import SettingsError
from coresift.evaluation.judge import Judge
from coresift.evaluation.rouge import check_rouge, rouge_1
from coresift.evaluation.settings import Metric
from coresift.evaluation.similarity import similarity
from coresift.extract.embeddings import text_of
from coresift.models.encoders import Encoder


@dataclass(frozen=True, slots=True)
class AnswerScores:
    """Scores of many answers.

    Attributes:
        each: For every metric one number per answer; None where a judge gave no score.
        means: Mean of those that are there, by metric; None where there is none.
        unscored: How many are missing, by metric, where any is.
    """

    each: Mapping[Metric, tuple[float | None, ...]]
    means: Mapping[Metric, float | None]
    unscored: Mapping[Metric, int]

    def to_json(self) -> dict[str, Any]:
        """Means and counts as plain values."""
        return {"means": dict(self.means), "unscored": dict(self.unscored)}


def check_metrics(metrics: Sequence[Metric], *, encoder: Encoder | None, judge: Judge | None) -> None:
    """Refuse metrics that cannot be computed, before any answer is generated.

    Raises:
        SettingsError: If a metric needs an encoder or a judge and there is none.
        ModelError: If ROUGE is asked for and `rouge-score` is not installed.
    """
    if "rouge1" in metrics:
        check_rouge()
    for metric, needed, what in (("similarity", encoder, "an encoder"), ("judge", judge, "a judge")):
        if metric in metrics and needed is None:
            raise SettingsError(
                f"the metric {metric!r} is asked for without {what}. Name one, or leave the metric out."
            )


def score_answers(
    answers: Sequence[str],
    test: Sequence[Example],
    *,
    metrics: Sequence[Metric] = ("exact", "rouge1"),
    encoder: Encoder | None = None,
    judge: Judge | None = None,
) -> AnswerScores:
    """Score the answers to test examples.

    Args:
        answers: What a model said, one for each test example.
        test: The examples; the last response is the one expected.
        metrics: `exact` (equal up to outer whitespace), `rouge1`, `similarity`, `judge`.
        encoder: For `similarity`.
        judge: For `judge`.

    Raises:
        SettingsError, ModelError: As `check_metrics`, and as the judge.
    """
    check_metrics(metrics, encoder=encoder, judge=judge)
    expected = [text_of(example, "response") for example in test]
    each: dict[Metric, tuple[float | None, ...]] = {}
    for metric in metrics:
        if metric == "exact":
            each[metric] = tuple(float(a.strip() == b.strip()) for a, b in zip(answers, expected, strict=True))
        elif metric == "rouge1":
            each[metric] = tuple(rouge_1(answers, expected))
        elif metric == "similarity" and encoder is not None:
            each[metric] = tuple(similarity(encoder, answers, expected))
        elif judge is not None:
            asked = [text_of(example, "prompt") for example in test]
            each[metric] = tuple(judge.score(asked, answers, expected))
    there = {metric: [value for value in values if value is not None] for metric, values in each.items()}
    return AnswerScores(
        each=each,
        means={metric: statistics.fmean(values) if values else None for metric, values in there.items()},
        unscored={
            metric: len(each[metric]) - len(values)
            for metric, values in there.items()
            if len(values) < len(each[metric])
        },
    )
