"""The answer at the top of a run's page: better than random, by how much, resolved or not, at what cost."""

from typing import Any

from coresift.report.costs import together
from coresift.report.sections import weight_facts
from coresift.report.tables import value_of
from coresift.report.view import Row, RunView
from coresift.report.words import method_name, title
from coresift.units import count, difference, duration, percent, prefixed

BASELINES = ("random", "balanced-random")
MEASURES = {"accuracy": ("accuracy", "all"), "loss": ("loss", "response")}
"""What is compared -> where it stands in a row of scores."""


def headline(view: RunView) -> str:
    """The answer in one line where there is one; otherwise what was chosen."""
    found = _own(view)
    if found is None:
        return title(view)
    name, verdict = method_name(view.method), found["verdict"]
    if verdict == "not resolved":
        return f"{name} is not resolved better than random"
    return f"{name} is {verdict} than random"


def answer(view: RunView) -> list[str]:
    """Sentences for somebody who must decide: the difference, its uncertainty, what is kept of the full pool's score,
    whether weights helped, and the cost."""
    said = [_difference(view), _uncertainty(view), _kept(view), _weights(view), _cost(view)]
    return [sentence for sentence in said if sentence]


def item_error(view: RunView) -> float | None:
    """Standard error, over test items, of the method's own score."""
    return (view.against.get("item_errors") or {}).get(view.method)


def _own(view: RunView) -> Row | None:
    return (view.against.get("rows") or {}).get(view.method)


def _difference(view: RunView) -> str:
    if view.method in BASELINES:
        return "This is a random selection: what methods are compared with."
    if len(view.scores) == 0:
        return (
            "Whether these picks are better than random ones is not known: nothing was trained in this run. "
            "`coresift compare` trains both and says."
        )
    found = _own(view)
    if found is None:
        return "Whether this is better than random is not known: no random subset was trained and scored beside it."
    metric = view.against["metric"]
    own, plain = _score(view, view.method, metric), _score(view, "random", metric)
    verdict = found["verdict"]
    ending = (
        f"not resolved: a table like this one resolves differences above {found['resolvable']:.3f}"
        if verdict == "not resolved"
        else f"resolved {verdict} (it would be from {found['resolvable']:.3f} on)"
    )
    numbers = "" if own is None or plain is None else f"{own:.3f} against {plain:.3f} of random, "
    return f"{_metric(metric)}: {numbers}{difference(found['value'])}; {ending}."


def _uncertainty(view: RunView) -> str:
    items, error = view.against.get("items") or view.test_examples, item_error(view)
    if not items or len(view.scores) == 0:
        return ""
    alone = "" if error is None else f", so the score alone is known to ±{error:.3f} (one standard error)"
    return f"{count(items)} test examples{alone}; ± in the table is the spread over seeds, which is something else."


def _kept(view: RunView) -> str:
    """The share of the full pool's accuracy, only where accuracy was measured: losses have no zero."""
    own, full = (_score(view, name, "accuracy") for name in (view.method, "full"))
    if own is None or not full or view.method == "full":
        return ""
    share = len(view.indices) / max(1, view.candidates)
    lost = f", and loses {percent(1 - own / full, digits=0)}" if own < full else ""
    return (
        f"With {percent(share)} of the examples it keeps {percent(own / full, digits=0)} of the accuracy of training "
        f"on the full pool ({full:.3f}){lost}."
    )


def _weights(view: RunView) -> str:
    """What weights did, where the same picks were trained on with and without them."""
    found, facts = view.against.get("unweighted"), weight_facts(view)
    name = f"{view.method}, unweighted"
    metric = view.against.get("metric")
    if not found or not facts or facts["equal"] or metric is None:
        return ""
    with_weights, without = _score(view, view.method, metric), _score(view, name, metric)
    if with_weights is None or without is None:
        return ""
    better = {"better": True, "worse": False}.get(found["verdict"])
    sign = 1 if view.against["better"] == "higher" else -1
    if better is None:
        better_now = sign * found["value"] > 0
        conclusion = (
            "the weights did not help here" if better_now else "the weights may have helped"
        ) + ", though the difference is not resolved"
    else:
        conclusion = "the weights hurt: train without them" if better else "the weights helped"
    return (
        f"Without weights the same picks reach {without:.3f} ({difference(found['value'])}): {conclusion}. The weights "
        f"are worth {count(facts['effective'])} equal picks of {count(facts['picks'])}."
    )


def _cost(view: RunView) -> str:
    choosing, full = together(view, "choosing"), together(view, "full")
    if not choosing["seconds"]:
        return ""
    tokens = f" and {prefixed(choosing['tokens'])} tokens" if choosing["tokens"] else ""
    said = f"Choosing cost {duration(choosing['seconds'])}{tokens} on top of training"
    if full["seconds"]:
        whole = f" and {prefixed(full['tokens'])} tokens" if full["tokens"] else ""
        return f"{said}; training on the full pool takes {duration(full['seconds'])}{whole}."
    return f"{said}."


def _metric(metric: str) -> str:
    return "Accuracy on all items" if metric == "accuracy" else "Held-out loss (lower is better)"


def _score(view: RunView, name: str, metric: str) -> float | None:
    row: dict[str, Any] | Row | None = next((score for score in view.scores if score["name"] == name), None)
    return None if row is None else value_of(row, *MEASURES[metric])
