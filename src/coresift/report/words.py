"""The sentences of the page: what was chosen, how it was trained on, what is proved, who came out ahead."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from coresift.claims import certified, expected, unresolved
from coresift.report.tables import spread_of, value_of
from coresift.report.view import RunView
from coresift.units import count, is_number, number

METHOD_NAMES = {
    "brief": "BRIEF",
    "mint": "MINT",
    "craig": "CRAIG",
    "gradmatch": "GRAD-MATCH",
    "tagcos": "TAGCOS",
    "kcenter": "k-center",
    "delift": "DELIFT",
    "selectit": "SelectIT",
    "deft-ucs": "DEFT-UCS",
    "lead": "LEAD",
    "loss-per-round": "Loss per round",
    "random-per-round": "Random per round",
    "static": "A selection made before",
    "random": "Random selection",
    "balanced-random": "Balanced random selection",
    "full": "The full pool",
}


def method_name(method: str) -> str:
    """How a method is called in prose."""
    return METHOD_NAMES.get(method, method)


def title(view: RunView) -> str:
    """The headline, e.g. "BRIEF chose 200 of 4,000 examples"."""
    picks = len(view.indices)
    if picks == view.n:
        return f"All {count(view.n)} examples were kept"
    if picks == view.candidates:
        return f"All {count(picks)} candidates of {count(view.n)} examples were kept"
    return f"{method_name(view.method)} chose {count(picks)} of {count(view.n)} examples"


def chosen(view: RunView) -> str:
    """What was chosen, from what, under which budget and with which alpha."""
    picks, whole = count(len(view.indices)), count(view.n)
    limits = f", of which {count(view.candidates)} could be chosen" if view.candidates != view.n else ""
    start = f"Under a budget of {budget_words(view.budget)}, " if view.budget else ""
    if view.method == "full":
        kept = f"{whole} examples" if limits == "" else f"{picks} of {whole} examples, all that could be chosen"
        sentence = f"{start}the whole pool was kept, {kept}"
    elif view.method in ("random", "balanced-random"):
        how = "at random" if view.method == "random" else "at random with equal shares for all sources"
        sentence = f"{start}{picks} of the pool's {whole} examples{limits and limits + ','} were chosen {how}"
    else:
        sentence = f"{start}{method_name(view.method)} chose {picks} of the pool's {whole} examples{limits}"
    short = view.diagnostics.get("shortfall")
    fewer = f" That is fewer than asked for: {short}." if short else ""
    return sentence[0].upper() + sentence[1:] + _alpha(view) + "." + _flat(view) + fewer


def budget_words(budget: str) -> str:
    """ "0.05" -> "5 %", "200" -> "200 examples"; anything else ("5%", "20000 tokens") as it was asked for."""
    try:
        value = float(budget)
    except ValueError:
        return budget
    if budget.strip().isdigit():
        return f"{count(value)} {'example' if value == 1 else 'examples'}"
    return f"{100 * value:g} %" if 0 < value <= 1 else budget


def _alpha(view: RunView) -> str:
    alpha = view.diagnostics.get("alpha")
    if not is_number(alpha):
        return ""
    if view.diagnostics.get("alpha_mode") == "fixed":
        return f", with α fixed at {number(alpha, digits=3)}"
    if view.diagnostics.get("alpha_mode") == "plateau":
        return f", with α\u00a0=\u00a0{number(alpha, digits=3)}, where the following error levels off"
    tried = f", the best of {len(view.trials)} values tried" if len(view.trials) > 1 else ""
    return f", with α\u00a0=\u00a0{number(alpha, digits=3)}{tried}"


def _flat(view: RunView) -> str:
    """That alpha is less certain than it looks, where values farther apart than the precision do equally well."""
    search = view.diagnostics.get("search") or {}
    said = unresolved(search) if view.diagnostics.get("alpha_mode") == "searched" else ""
    return f" {said}" if said else ""


def trained(view: RunView) -> str:
    """Whether the final training was weighted, in words that cannot be misread."""
    if view.weighting is None:
        if len(view.scores) > 0:
            return "Whether the final training was weighted or unweighted is not recorded."
        return "No final model was trained in this run."
    if len(view.rounds) > 0:
        return "A pick of weight 3 was trained on in three rounds: the final model is the one that the rounds trained."
    if view.weighting == "none":
        return "The final training was unweighted: every pick counts the same, whatever its weight."
    how = {
        "loss": "a pick of weight 3 pulls on the loss as three copies of it would",
        "sampling": "a pick of weight 3 is drawn three times as often as one of weight 1",
    }[view.weighting]
    if len(view.weights) and np.ptp(view.weights) == 0:
        how = "but all weights are equal, so it is the same as unweighted"
        return f"The final training was weighted (by {view.weighting}), {how}."
    return f"The final training was weighted (by {view.weighting}): {how}."


def training_word(view: RunView) -> str:
    """One word for the tile: weighted, unweighted, none or not recorded."""
    if len(view.rounds) > 0:
        return "in rounds"
    if view.weighting is None:
        return "not recorded" if len(view.scores) > 0 else "none"
    return "unweighted" if view.weighting == "none" else "weighted"


def certificate(view: RunView) -> list[str]:
    """What is proved about the picks; empty where the method has no certificate."""
    proof = view.diagnostics.get("certificate") or {}
    return certified(proof.get("error"), proof.get("lower_bound"), len(view.indices))


def summed(view: RunView) -> str:
    """Which distances the certificate sums, and what the statement depends on."""
    facts = view.diagnostics
    if facts.get("coefficients") is not None:
        factors = zip(facts["coefficients"], ("response", "knowledge", "following"), strict=True)
        distance = " + ".join(f"{factor:g} × {space} distance" for factor, space in factors if factor > 0)
        holds = "this pool, these gradients and these coefficients"
    elif is_number(facts.get("alpha")):
        distance = "(1 − α) × knowledge distance + α × following distance, at the α used"
        holds = "this pool, these gradients and this α"
    else:
        distance = f"between {(view.provenance.get('settings') or {}).get('loss', 'response')} gradients"
        holds = "this pool and these gradients"
    return (
        f"The distance is that from each pool example to the nearest pick, {distance}, summed over the pool. The "
        f"statement holds for {holds}; it says nothing about accuracy after training."
    )


def in_expectation(view: RunView) -> str:
    """What stochastic greedy promises; empty where picks were made exactly."""
    drawn = view.diagnostics.get("stochastic")
    return expected(drawn, len(view.indices)) if drawn else ""


def outcome(scores: Sequence[Mapping[str, Any]], size: int) -> str:
    """Who came out ahead among rows trained on `size` examples, whoever it is; empty with nothing to compare.

    Accuracy on all items decides where it was measured, else the held-out loss.
    """
    trained = [score for score in scores if not score.get("in_context")]
    scores = trained if any(score.get("examples") == size for score in trained) else scores
    kind, part, sign = next(
        (option for option in _DECIDING if any(value_of(score, *option[:2]) is not None for score in scores)),
        _DECIDING[0],
    )
    measured = [(sign * value, score) for score in scores if (value := value_of(score, kind, part)) is not None]
    ranked = sorted((pair for pair in measured if pair[1].get("examples") == size), key=lambda pair: -pair[0])
    if len(ranked) < 2:
        return ""
    (first, best), (second, next_best) = ranked[:2]
    goal = "the highest accuracy on all items" if sign > 0 else "the lowest held-out loss"
    if first == second:
        return f"At {count(size)} examples, {best['name']} and {next_best['name']} tie for {goal}."
    lead, where = f"{first - second:.3f}", "above" if sign > 0 else "below"
    sentence = f"At {count(size)} examples, {best['name']} reaches {goal}, {lead} {where} {next_best['name']}"
    return f"{sentence}; {_against_spread(first - second, (best, next_best), kind, part)}."


_DECIDING = (("accuracy", "all", 1.0), ("loss", "response", -1.0))


def _against_spread(lead: float, pair: Sequence[Mapping[str, Any]], kind: str, part: str) -> str:
    """How a lead compares with the spread over seeds, and which of the two rows is a single run."""
    known = {str(score["name"]): spread for score in pair if (spread := spread_of(score, kind, part)) is not None}
    if not known:
        return "each is a single run, so chance is not ruled out"
    name, widest = max(known.items(), key=lambda item: item[1])
    verdict = (
        f"that is {'less' if lead < widest else 'more'} than one standard deviation of {name} over seeds ({widest:.3f})"
    )
    single = [str(score["name"]) for score in pair if str(score["name"]) not in known]
    return verdict + (f", and {single[0]} is a single run" if single else "")
