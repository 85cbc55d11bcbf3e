"""A pool in numbers, for `coresift inspect` and the report."""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from coresift.data.pool import Pool


def describe(pool: Pool) -> dict[str, Any]:
    """Size, origin, sources, turns, lengths in characters, repeats and skipped records, all JSON-able.

    `turns` counts examples by their number of assistant turns. `duplicates` are exact repeats of whole conversations;
    `repeated_responses` counts examples whose responses, taken together, equal an earlier example's. `not_read` counts
    rows by what was not read of them, `changes` conversations by what was done to them.
    """
    turns: Counter[int] = Counter()
    prompts, responses, answers = array("q"), array("q"), array("q")
    told: Counter[str] = Counter()
    for example in pool:
        said = tuple(message.content for message in example.messages if message.role == "assistant")
        turns[len(said)] += 1
        responses.append(sum(map(len, said)))
        prompts.append(sum(len(message.content) for message in example.messages) - responses[-1])
        answers.append(hash(said))
        told["with_system"] += example.messages[0].role == "system"
        told["with_tools"] += example.tools != ""
        told["with_thoughts"] += any(message.reasoning != "" for message in example.messages)
    return {
        "origin": pool.origin,
        "examples": len(pool),
        "fingerprint": pool.fingerprint,
        "columns": sorted({column for position in range(len(pool)) for column in pool.row(position)}),
        "sources": _counts(pool.sources),
        "turns": dict(sorted(turns.items())),
        **told,
        "prompt_characters": _quantiles(prompts),
        "response_characters": _quantiles(responses),
        "duplicates": {
            "groups": len(pool.duplicates),
            "surplus": sum(len(group) - 1 for group in pool.duplicates),
        },
        "repeated_responses": len(pool) - len(np.unique(np.array(answers))),
        "skipped": {"rows": len(pool.skipped), "reasons": _counts(row.reason for row in pool.skipped)},
        "not_read": dict(pool.notes.unread),
        "changes": dict(pool.notes.changes),
    }


def _counts(names: Iterable[str]) -> dict[str, int]:
    """How often each name occurs, most frequent first."""
    return dict(Counter(names).most_common())


def _quantiles(lengths: Sequence[int]) -> dict[str, float]:
    values = np.quantile(lengths, [0, 0.25, 0.5, 0.75, 1])
    named = dict(zip(("min", "p25", "median", "p75", "max"), values.tolist(), strict=True))
    return {**named, "mean": float(np.mean(lengths)), "total": float(np.sum(lengths))}
