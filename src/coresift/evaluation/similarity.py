"""Embedding similarity: how near an answer lies to the expected one for a sentence encoder."""

from collections.abc import Sequence

from coresift.models.encoders import Encoder


def similarity(encoder: Encoder, answers: Sequence[str], references: Sequence[str]) -> list[float]:
    """Cosine of each answer with its reference; 0 for an answer that is blank, which encoders place anywhere.

    Args:
        encoder: `load_encoder(...)`.
        answers: What a model said.
        references: What was expected, one for each answer.

    Returns:
        Between -1 and 1, one per pair.
    """
    said, expected = (encoder.encode(texts, label="similarity").rows.double() for texts in (answers, references))
    cosines = (said * expected).sum(dim=1).tolist()
    return [cosine if answer.strip() else 0.0 for cosine, answer in zip(cosines, answers, strict=True)]
