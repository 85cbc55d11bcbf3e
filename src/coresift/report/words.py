"""The sentences of the page: what was chosen, how it was trained on, what is proved, who came out ahead."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from coresift.claims import beside_random, certified, expected, uncovered, unresolved
from coresift.report.sections import (
    chosen_trial,
    gradient_rows,
    loss_covered,
    response_is_their_sum,
    scaled_distances,
)
from coresift.report.tables import spread_of, value_of
from coresift.report.view import RunView
from coresift.units import count, is_number, number, percent

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
    "deita": "DEITA",
    "mig": "MIG",
    "less": "LESS",
    "rds": "RDS+",
    "bm25": "BM25",
    "target-match": "Target match",
    "dsir": "DSIR",
    "ifd": "IFD",
    "perplexity": "Perplexity",
    "longest": "The longest responses",
    "length-matched": "Random matched in length",
    "lead": "LEAD",
    "loss-per-round": "Loss per round",
    "random-per-round": "Random per round",
    "static": "A selection made before",
    "random": "Random selection",
    "balanced-random": "Balanced random selection",
    "full": "The full pool",
}

SUBTASKS = 8
"""Sub-tasks that are named."""


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
    chose = f"{method_name(view.method)} chose {count(picks)} of"
    if (view.settings.get("pool") or {}).get("examples") is not None:
        return f"{chose} {count(view.candidates)} candidates (of {count(view.n)} in the pool)"
    return f"{chose} {count(view.n)} examples"


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
    more = _flat(view) + fewer + _uncovered(view) + _subtasks(view)
    return sentence[0].upper() + sentence[1:] + _alpha(view) + "." + more


def _subtasks(view: RunView) -> str:
    """How many picks are most like each sub-task of a target, where it has several; the most first."""
    picks = view.diagnostics.get("subtasks") or {}
    if len(picks) < 2:
        return ""
    shown = sorted(picks.items(), key=lambda each: -each[1])
    named = ", ".join(f"{count(number)} {name or 'without a name'}" for name, number in shown[:SUBTASKS])
    rest = f" and {count(sum(number for _, number in shown[SUBTASKS:]))} others" if len(shown) > SUBTASKS else ""
    return f" By the sub-task of the target that they are most like, these are {named}{rest}."


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


def _uncovered(view: RunView) -> str:
    """That the covering error is above what was asked for."""
    cover = view.diagnostics.get("cover")
    said = uncovered(cover, view.diagnostics.get("B_SFT"), len(view.indices)) if cover else ""
    return f" {said}" if said else ""


def everything(view: RunView) -> str:
    """What all sums run over."""
    return "the whole pool" if view.candidates == view.n else f"all {count(view.candidates)} candidates"


def unsearched(view: RunView) -> str:
    """Why there is no search to show; empty where there is one."""
    found = view.diagnostics
    if found.get("alpha_mode") == "fixed":
        return f"α was fixed at {number(found['alpha'], digits=3)}, so nothing was searched."
    if found.get("coefficients") is not None:
        factors = zip(found["coefficients"], ("response", "knowledge", "following"), strict=True)
        given = ", ".join(f"{factor:g} × {space}" for factor, space in factors)
        return f"Coefficients of the distances were given ({given}), so nothing was searched."
    return "" if len(view.trials) > 0 else f"The method {view.method} searches no α."


def represented(mix: Sequence[Mapping[str, Any]]) -> str:
    """Which sources have no pick at all."""
    missing = [row for row in mix if row["picks"] == 0]
    if not missing:
        return f"All {count(len(mix))} sources are represented."
    named = ", ".join(str(row["source"]) for row in missing[:6]) + (", …" if len(missing) > 6 else "")
    examples = sum(row["pool"] for row in missing)
    be = "is" if len(missing) == 1 else "are"
    return (
        f"{count(len(missing))} of {count(len(mix))} sources {be} not represented: {named} "
        f"({count(examples)} {'example' if examples == 1 else 'examples'})."
    )


def plateau(view: RunView) -> str:
    """Why the curve of a plateau search may be flat, and whether another α had a lower sum; else empty."""
    if view.diagnostics.get("alpha_mode") != "plateau" or len(view.trials) < 2:
        return ""
    said = []
    subsets = {tuple(sorted(trial["picks"])) for trial in view.trials if trial.get("picks") is not None}
    if subsets and len(subsets) < len(view.trials) / 2:
        said.append(
            f"The {count(len(view.trials))} values of α gave only {count(len(subsets))} different "
            f"{'subset' if len(subsets) == 1 else 'subsets'} of the pilot, so the curve is a flight of steps, and flat "
            "between them for that reason alone."
        )
    used = chosen_trial(view)
    sums = [float(trial["B_KN"]) + float(trial["B_IF"]) for trial in view.trials]
    if used is not None and min(sums) < sums[used] * (1 - 1e-6):
        least = int(np.argmin(sums))
        said.append(
            f"The sum of both errors on the pilot is {percent(1 - sums[least] / sums[used])} lower at α = "
            f"{number(float(view.trials[least]['alpha']), digits=3)} than at the α that was used: a plateau search "
            "does not look at the sum."
        )
    return " ".join(said)


def covered(view: RunView) -> str:
    """The mean distance to the nearest pick beside that of as many random examples; empty where not measured."""
    own, plain = view.scale.get("chosen"), view.scale.get("random")
    if not is_number(own) or not is_number(plain) or plain == 0:
        return ""
    change = own / plain - 1
    way = "below" if change < 0 else "above"
    return (
        f"From a candidate to its nearest pick it is {percent(abs(change))} {way} what it is with as many random picks "
        f"(mean distances {number(own)} and {number(plain)}). That is what the method looked for, not what a model "
        "learns."
    )


def weighed(view: RunView) -> str:
    """What a weight means, and whom no pick stands for."""
    if len(view.rounds) > 0:
        return "The weight of a pick is the number of rounds that trained on it."
    if view.method == "gradmatch":
        return (
            "The weights were fitted: with them the gradients of the picks add up, as nearly as they can, to those of "
            f"{everything(view)}. They need not sum to its size, and a pick stands for no particular examples."
        )
    meaning = "The weight of a pick is the number of candidates it stands for."
    missing = view.diagnostics.get("unrepresented") or 0
    if missing == 0:
        return meaning
    return f"{meaning} No pick stands for {count(missing)} of {count(view.candidates)}, which the weights leave out."


def compared(view: RunView) -> str:
    """What a gradient error is, and what bounds it."""
    error = (
        f"The gradient of {everything(view)} against the weighted gradient of the picks, both summed: ‖e‖ is the "
        "length of the difference."
    )
    scaled = scaled_distances(view)
    if all(view.diagnostics.get(key) is None for key in ("A_KN", "A_IF", "A_SFT")):
        real = " Picks were made on scaled gradients (unit_norm or norm_power); the errors are those of the real ones."
        return f"{error} {method_name(view.method)} gives no bound on it.{real if scaled else ''}"
    if scaled:
        return (
            f"{error} Distances were measured between scaled gradients (unit_norm or norm_power), the errors between "
            "the gradients as they are, so the distances bound nothing here."
        )
    return (
        f"{error} It is at most A, the sum of distances from each example to the pick that stands for it. A bound far "
        "above the error means that errors of single examples cancel."
    )


def about_bounds(view: RunView) -> str:
    """The small print under the gradient errors."""
    rows, scaled, said = gradient_rows(view), scaled_distances(view), []
    covered = "B sums the distances from each example to its nearest pick"
    if len(rows) > 1 and any(row["cover"] is not None for row in rows):
        said.append(f"{covered} in that space alone, so B ≤ A; B bounds no gradient error.")
    elif any(row["cover"] is not None for row in rows):
        said.append(f"{covered}." if scaled else f"{covered}, which here is the pick that stands for it: B is A.")
    if response_is_their_sum(view) and not scaled:
        said.append("For the response gradient, which is the sum of the two, the bound is the sum of theirs.")
    return " ".join([*said, "All errors suppose the weights: unweighted training follows a different sum."])


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
    first, *more = certified(proof.get("error"), proof.get("lower_bound"), len(view.indices)) or [""]
    return [" ".join([first, *beside_random(proof)]), *more] if first else []


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
        distance = f"between {loss_covered(view)} gradients"
        holds = "this pool and these gradients"
    each, over = ("pool example", "pool") if view.candidates == view.n else ("candidate", "candidates")
    return (
        f"The distance is that from each {each} to the nearest pick, {distance}, summed over the {over}. The "
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
