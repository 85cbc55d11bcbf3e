"""Which sections a run has nothing for, and why: they are folded into one list at the end of the page."""

from collections.abc import Callable

from coresift.report import sections, words
from coresift.report.view import RunView

WITHOUT: dict[str, Callable[[RunView], str]] = {
    "scores": lambda view: _if(
        len(view.scores) == 0, "Nothing was trained or evaluated in this run, so there are no scores."
    ),
    "rounds": lambda view: _if(len(view.rounds) == 0, "The final model was not trained in rounds."),
    "examples": lambda view: _if(len(view.texts) == 0, "The texts of the examples are not known."),
    "picks": lambda view: _if(
        len(view.texts) == 0 or len(view.indices) == 0, "There are no picks with a text to list."
    ),
    "sources": lambda view: _sources(view),
    "lengths": lambda view: _if(len(sections.length_rows(view)) == 0, "Response lengths are not known."),
    "weights": lambda view: _weights(view),
    "search": words.unsearched,
    "certificate": lambda view: _if(
        len(words.certificate(view)) == 0, f"This run has no certificate: the method {view.method} gives none."
    ),
    "gradients": lambda view: _if(
        len(sections.gradient_rows(view)) == 0,
        f"Gradient errors were not measured: the method {view.method} gives none.",
    ),
    "costs": lambda view: _if(len(view.costs) == 0, "No costs were recorded."),
    "pool": lambda view: _if(
        not view.pool.get("duplicates") and not view.pool.get("notes"),
        "Nothing was mended while the pool was read, nothing in it was left unread, and no row is there twice.",
    ),
    "settings": lambda view: _if(len(view.settings) == 0 and len(view.provenance) == 0, "No settings were recorded."),
}
"""Section -> why the page has none; an empty sentence where it has."""


def missing_pieces(view: RunView, *, has_spaces: bool) -> dict[str, str]:
    """Section -> why it is missing, in the order above."""
    spaces = (
        "There is nothing to draw: this run has no projected gradient spaces "
        f"(the method {view.method} may not need any)."
    )
    found = {name: why(view) for name, why in WITHOUT.items()}
    found["spaces"] = "" if has_spaces else spaces
    return {name: why for name, why in found.items() if why}


def _if(missing: bool, why: str) -> str:
    return why if missing else ""


def _sources(view: RunView) -> str:
    mix = sections.source_mix(view)
    if len(mix) == 0:
        return "The sources of the examples are not known."
    return _if(len(mix) == 1, f"All examples come from one source, {mix[0]['source']}.")


def _weights(view: RunView) -> str:
    facts = sections.weight_facts(view)
    if not facts:
        return "Nothing was chosen, so there are no weights."
    return _if(
        facts["equal"],
        f"All weights are equal ({facts['largest']:g}), so weighting changes nothing here.",
    )
