"""How well each estimate of loss changes did, on examples whose loss was measured again after their round.

    none         the loss stays where it was
    paper        - path * |mixed gradient|^2, gradient norms from the losses of rounds; one number per round
    first-order  the sum of <gradient, parameter change> over an example's own step and the later ones of its round

All three are judged on the same examples, whichever of them the policy used.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from coresift.online.utility import mixed_norm2, mixing, norm2_of_losses

Trace = Sequence[Mapping[str, Any]]


def estimate_errors(trace: Trace) -> dict[str, dict[str, float]]:
    """Estimator -> {examples, rms, bias}: of estimate minus realised change, nats per response token.

    Empty where nothing was measured again.
    """
    pairs: dict[str, list[tuple[float, float]]] = {"none": [], "paper": [], "first-order": []}
    for record, paper in zip(trace, paper_changes(trace), strict=True):
        estimated = dict(zip(record["indices"], record["changes"] or [], strict=False))
        for place, realised in zip(record["measured"], record["realised"], strict=True):
            if realised is None:
                continue
            pairs["none"].append((0.0, realised))
            pairs["paper"].append((paper, realised))
            if estimated.get(place) is not None:
                pairs["first-order"].append((estimated[place], realised))
    return {name: _summary(found) for name, found in pairs.items() if len(found) > 0}


def _summary(pairs: Sequence[tuple[float, float]]) -> dict[str, float]:
    guesses, realised = np.array(pairs, dtype=np.float64).T
    errors = guesses - realised
    return {
        "examples": len(pairs),
        "realised": float(realised.mean()),
        "estimated": float(guesses.mean()),
        "rms": float(np.sqrt(np.square(errors).mean())),
    }


def paper_changes(trace: Trace) -> Iterator[float]:
    """What the gradient norms say of every round, in order."""
    norms: dict[Any, float] = {}
    drawn: dict[Any, int] = {}
    previous: float | None = None
    for number, record in enumerate(trace):
        arm, path = record["arm"], record["learning_rate"] * record["steps"]
        if previous is None:
            yield 0.0
        elif arm not in norms:
            yield -path * previous
        else:
            cosine = 1.0 if drawn[arm] == number - 1 else record["cosine"] or 0.0
            share = mixing(norms[arm], previous, cosine)
            yield -path * mixed_norm2(norms[arm], previous, cosine, share)
        losses = np.array([np.nan if loss is None else loss for loss in record["losses"]])
        previous = norms[arm] = norm2_of_losses(losses, path)
        drawn[arm] = number


def errors_in_words(errors: Mapping[str, Mapping[str, float]]) -> list[str]:
    """One line per estimator; none where nothing was measured."""
    return [
        f"loss change by {name!r}: estimated {each['estimated']:+.4f}, realised {each['realised']:+.4f}, "
        f"root mean squared error {each['rms']:.4f} on {int(each['examples'])} examples"
        for name, each in errors.items()
    ]
