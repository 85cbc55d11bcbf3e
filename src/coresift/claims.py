"""What a selection may claim about itself, in sentences: one wording for coreset.json, the terminal and the page."""

import math
from collections.abc import Mapping
from typing import Any

from coresift.units import count, is_number, number, percent_up


def certified(error: Any, lower_bound: Any, picks: int) -> list[str]:
    """What a lower bound proves about the sum of distances that the picks leave.

    With LB <= OPT <= error, no subset of the size can lie more than (error - LB) / error below the error found, and the
    error found lies at most (error - LB) / LB above the best possible. Percentages are rounded up, so they stay true.

    Args:
        error: Sum of the distances to the nearest pick.
        lower_bound: No subset of the same size has a smaller one.
        picks: That size.

    Returns:
        The claim, and what makes it concrete; empty where one of the numbers is not known.
    """
    if not (is_number(error) and is_number(lower_bound)):
        return []
    if lower_bound > error * (1 + 1e-6) + 1e-12:
        return [
            f"The recorded lower bound, {number(lower_bound)}, is above the sum of distances it bounds, "
            f"{number(error)}: one of the two is wrong, and nothing follows from them."
        ]
    if error <= 0:
        return ["The sum of distances is zero: no subset of any size can do better."]
    if lower_bound <= 0:
        return [
            "The lower bound is zero, so nothing is proved about how close this subset is to the best one of its size."
        ]
    below, above = max(0.0, (error - lower_bound) / error), max(0.0, (error - lower_bound) / lower_bound)
    subset = f"No subset of {count(picks)} {'example' if picks == 1 else 'examples'}"
    if below == 0:
        return [f"{subset} has a lower sum of distances: this one is proved optimal."]
    return [
        f"{subset} can have a sum of distances more than {percent_up(below)} below that of this one.",
        f"The sum is {number(error)}; no subset of this size can get below about {number(lower_bound)}. "
        f"Said the other way round, the sum found is at most {percent_up(above)} above the best possible.",
    ]


def beside_random(proof: Mapping[str, Any]) -> list[str]:
    """How the sum of distances compares with that of random subsets; empty where theirs is not known.

    Args:
        proof: `error`, and `random`: the mean sum that random subsets of the same size leave.
    """
    error, random = proof.get("error"), proof.get("random")
    if not (is_number(error) and is_number(random)) or error <= 0:
        return []
    more = (random - error) / error
    return [f"Random subsets of this size leave {abs(100 * more):.1f} % {'more' if more >= 0 else 'less'} on average."]


def unresolved(search: Mapping[str, Any]) -> str:
    """That an alpha is less certain than its precision; empty where the search tells values of that distance apart.

    Args:
        search: `precision`, and `flat`: from which alpha to which totals are within a part `tolerance` of the lowest.
    """
    low, high = search.get("flat") or (0.0, 0.0)
    if high - low <= search.get("precision", 1.0):
        return ""
    decimals = max(3, 1 - math.floor(math.log10(high - low)))
    return (
        f"Every α tried from {low:.{decimals}f} to {high:.{decimals}f} is as good within "
        f"{100 * search['tolerance']:g} %: a precision of {search['precision']:g} is finer than the pool resolves."
    )


def expected(drawn: Mapping[str, Any], picks: int) -> str:
    """What stochastic greedy is worth in expectation.

    Args:
        drawn: `epsilon`, and `size`: the number of picks that samples were made for; fewer would need larger samples.
        picks: Number of picks kept.
    """
    epsilon, size = drawn["epsilon"], drawn["size"]
    share = 1.0 - 1.0 / math.e - epsilon
    if picks < size:
        return (
            f"Stochastic greedy, the first {count(picks)} of {count(size)} picks: its guarantee is about all of them."
        )
    if share <= 0.0:
        return f"Stochastic greedy with an ε of {epsilon:g}, above 1 − 1/e, guarantees nothing."
    return (
        "Stochastic greedy: at any one α, in expectation at least 1 − 1/e − ε = "
        f"{math.floor(1000 * share) / 10:.1f} % of the best value of any subset of this size, with ε = {epsilon:g}."
    )


def uncovered(cover: Mapping[str, Any], error: Any, picks: int) -> str:
    """That picks do not bring the covering error down to the epsilon asked for; empty where they do.

    Args:
        cover: `epsilon`, the `limit` it sets, whether it was `met`, and by how many `picks`.
        error: Covering error of the picks kept.
        picks: Their number.
    """
    if cover["met"] and picks >= cover["picks"]:
        return ""
    with_these = f"with {count(picks)} {'pick' if picks == 1 else 'picks'}"
    more = f"It takes {count(cover['picks'])} picks." if cover["met"] else "A larger budget comes closer."
    return (
        f"An ε of {cover['epsilon']:g} is not met: {with_these} the covering error is {number(error)}, and it allows "
        f"{number(cover['limit'])}. {more}"
    )


def with_claims(diagnostics: Mapping[str, Any], picks: int) -> dict[str, Any]:
    """Diagnostics whose certificate, search, stochastic greedy and cover say in a sentence (`says`) what they mean.

    Args:
        diagnostics: What a method measured.
        picks: Number of its picks.
    """
    said = dict(diagnostics)
    proof, search, drawn = (diagnostics.get(key) for key in ("certificate", "search", "stochastic"))
    if proof:
        sentences = certified(proof["error"], proof["lower_bound"], picks)
        said["certificate"] = {**proof, "says": " ".join([*sentences[:1], *beside_random(proof)])}
    if search and unresolved(search):
        said["search"] = {**search, "says": unresolved(search)}
    if drawn:
        said["stochastic"] = {**drawn, "says": expected(drawn, picks)}
    cover = diagnostics.get("cover")
    if cover and uncovered(cover, diagnostics.get("B_SFT"), picks):
        said["cover"] = {**cover, "says": uncovered(cover, diagnostics.get("B_SFT"), picks)}
    return said
