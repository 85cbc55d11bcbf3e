"""A pool in numbers, for `coresift inspect` and the report."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from coresift.data.pool import Example, Pool


def describe(pool: Pool) -> dict[str, Any]:
    """Size, origin, sources, turns, lengths in characters, repeats and skipped records, all JSON-able.

    `turns` counts examples by their number of assistant turns. `duplicates` are exact repeats of whole conversations;
    `repeated_responses` counts examples whose responses, taken together, equal an earlier example's.
    """
    return {
        "origin": pool.origin,
        "examples": len(pool),
        "fingerprint": pool.fingerprint,
        "columns": sorted({column for position in range(len(pool)) for column in pool.row(position)}),
        "sources": _counts(example.source for example in pool),
        "turns": dict(sorted(Counter(len(_texts(example, "assistant")) for example in pool).items())),
        "with_system": sum(example.messages[0].role == "system" for example in pool),
        "prompt_characters": _quantiles([_length(example) - _length(example, "assistant") for example in pool]),
        "response_characters": _quantiles([_length(example, "assistant") for example in pool]),
        "duplicates": {
            "groups": len(pool.duplicates),
            "surplus": sum(len(group) - 1 for group in pool.duplicates),
        },
        "repeated_responses": len(pool) - len({_texts(example, "assistant") for example in pool}),
        "skipped": {"rows": len(pool.skipped), "reasons": _counts(row.reason for row in pool.skipped)},
    }


def _texts(example: Example, role: str) -> tuple[str, ...]:
    return tuple(message.content for message in example.messages if message.role == role)


def _length(example: Example, role: str = "") -> int:
    return sum(len(message.content) for message in example.messages if role in ("", message.role))


def _counts(names: Iterable[str]) -> dict[str, int]:
    """How often each name occurs, most frequent first."""
    return dict(Counter(names).most_common())


def _quantiles(lengths: Sequence[int]) -> dict[str, float]:
    values = np.quantile(lengths, [0, 0.25, 0.5, 0.75, 1])
    named = dict(zip(("min", "p25", "median", "p75", "max"), values.tolist(), strict=True))
    return {**named, "mean": float(np.mean(lengths)), "total": float(np.sum(lengths))}
