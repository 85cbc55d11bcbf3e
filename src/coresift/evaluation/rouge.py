"""ROUGE-1: how many words an answer shares with the expected one, by Google's `rouge-score`."""

from collections.abc import Sequence
from importlib.util import find_spec

from coresift.errors import ModelError


def check_rouge() -> None:
    """Raise ModelError if `rouge-score` is not installed: better before answers are generated than after."""
    if find_spec("rouge_score") is None:
        raise ModelError(
            "ROUGE needs the package rouge-score, which is not installed. Run `pip install 'coresift[evaluation]'`, or "
            "leave rouge1 out of the metrics."
        )


def rouge_1(answers: Sequence[str], references: Sequence[str]) -> list[float]:
    """F1 of the words of each answer and its reference, without stemming.

    Words are runs of Latin letters and digits in lower case, so texts in other scripts score 0.

    Args:
        answers: What a model said.
        references: What was expected, one for each answer.

    Returns:
        Between 0 and 1, one per pair.

    Raises:
        ModelError: As `check_rouge`.

    >>> rouge_1(["the cat sat"], ["The cat."])
    [0.8]
    """
    check_rouge()
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge1"], use_stemmer=False)
    pairs = zip(answers, references, strict=True)
    return [float(scorer.score(reference, answer)["rouge1"].fmeasure) for answer, reference in pairs]
