"""The page of a run: the answer first, then what it rests on; one HTML file that needs nothing else."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coresift import units
from coresift.report import answer, costs, document, picks, rounds, sections, tables, words
from coresift.report.figure_data import DATA
from coresift.report.figures import alt_texts, draw
from coresift.report.missing import missing_pieces
from coresift.report.scatter import MOST_UNCHOSEN, scatter_data, spaces_of, unchosen_positions
from coresift.report.view import RunView

MOST_LISTED = 50
CONTENTS = {
    "top": "In short",
    "scores": "Scores",
    "rounds": "Round by round",
    "examples": "Examples",
    "picks": "All picks",
    "sources": "Sources",
    "lengths": "Response length",
    "weights": "Weights",
    "search": "Search for α",
    "spaces": "Gradient spaces",
    "certificate": "Certificate",
    "gradients": "Gradient errors",
    "costs": "Costs",
    "left-out": "Left out",
    "pool": "The pool as read",
    "settings": "Settings",
}
"""Sections in the order of the page."""


def write_report(view: RunView, folder: str | Path) -> Path:
    """Write `index.html`, its figures and their data into `folder`.

    Args:
        view: the run.
        folder: made when absent; files of the same names are replaced.

    Returns:
        The path of the page.
    """
    images = draw(view)
    return document.write(Path(folder), render_page(view, images), images, sheets(view, images))


def sheets(view: RunView, images: document.Images) -> dict[str, document.Rows]:
    """The data of the figures that are drawn."""
    return {name: DATA[name](view) for name in images}


def render_page(view: RunView, images: Mapping[str, tuple[bytes, bytes]]) -> str:
    """The HTML text; `images` as `coresift.report.figures.draw` gives them."""
    facts = _facts(view)
    return document.render(
        "page.html",
        scripts=["details.js", "scatter.js", "picks.js"],
        images=images,
        alts=alt_texts(view),
        data=sheets(view, images),
        blocks={"scatter-data": facts["scatter"], "picks-data": facts["rows_of_picks"] or None},
        **facts,
    )


def _facts(view: RunView) -> dict[str, Any]:
    """Everything the template prints, already computed."""
    data, unchosen = scatter_data(view), len(unchosen_positions(view))
    missing = missing_pieces(view, has_spaces=data is not None)
    mix = sections.by_distortion(sections.source_mix(view))
    return {
        "view": view,
        "tab": _tab(view),
        "where": _where(view),
        "missing": missing,
        "contents": [(id, name) for id, name in CONTENTS.items() if id not in missing],
        "title": answer.headline(view),
        "answer": answer.answer(view),
        "lede": [words.chosen(view), words.trained(view)],
        "tiles": _tiles(view),
        "outcome": "" if view.against else words.outcome(view.scores, len(view.indices)),
        "unequal": tables.unequal_steps(view.scores),
        "best": _best(view),
        "score_parts": _score_parts(view),
        "score_titles": {"accuracy": "accuracy", "metrics": "answers", "loss": "held-out loss, nats"},
        "part_titles": tables.METRICS,
        "differs": view.against.get("rows") or {},
        "arms": rounds.arm_rows(view),
        "estimates": rounds.estimate_rows(view),
        "trial": sections.chosen_trial(view),
        "relative": sections.relative_trials(view),
        "plateau": words.plateau(view),
        "covered": words.covered(view),
        "scatter": data,
        "unchosen": unchosen,
        "subsampled": unchosen > MOST_UNCHOSEN,
        "moved": [name for name, (_, moved) in spaces_of(view).items() if moved],
        "mix": mix,
        "represented": words.represented(mix) if mix else "",
        "lengths": sections.length_rows(view),
        "weight": sections.weight_facts(view),
        "weighed": words.weighed(view),
        "rows_of_picks": picks.pick_rows(view) if len(view.texts) else [],
        "cut": picks.longest_text(view),
        "chosen_examples": picks.chosen_examples(view),
        "left_out_examples": picks.left_out_examples(view),
        "certificate": words.certificate(view),
        "summed": words.summed(view),
        "in_expectation": words.in_expectation(view),
        "compared": words.compared(view),
        "about_bounds": words.about_bounds(view),
        "gradients": sections.gradient_rows(view),
        "costs": costs.cost_groups(view),
        "settings": sections.flat_settings(view.settings),
        "excluded": list(view.pool.get("excluded") or [])[:MOST_LISTED],
        "n_excluded": len(view.pool.get("excluded") or []),
        "skipped": int(view.pool.get("skipped") or 0),
        "duplicates": int(view.pool.get("duplicates") or 0),
        "pool_notes": list(view.pool.get("notes") or []),
        "provenance": sections.flat_settings(view.provenance),
    }


def _tab(view: RunView) -> str:
    """The title of a browser's tab: what was done, to which pool and model; two runs read differently."""
    parts = [
        words.method_name(view.method),
        words.budget_words(view.budget) if view.budget else "",
        *_where(view).values(),
    ]
    return " · ".join(part for part in [*parts, view.name] if part)


def _where(view: RunView) -> dict[str, str]:
    """Names of the pool and the model, without the folders that they are in."""
    path = (view.settings.get("pool") or {}).get("path")
    paths = [path] if isinstance(path, str) else list(path or ())
    pool = ", ".join(_name(str(each)) for each in paths[:3]) + (", …" if len(paths) > 3 else "")
    model = (view.settings.get("model") or {}).get("path")
    found = {"pool": pool, "model": _name(str(model)) if model else ""}
    return {key: value for key, value in found.items() if value}


def _name(path: str) -> str:
    return path.rstrip("/\\").replace("\\", "/").rpartition("/")[2]


def _score_parts(view: RunView) -> dict[str, tuple[str, ...]]:
    """The measurements that at least one row of the score table has: kind -> parts."""
    kinds = {"accuracy": ("all", "knowledge", "following"), "metrics": tuple(tables.METRICS), "loss": tables.LOSS}
    return {
        kind: tuple(p for p in parts if any(tables.value_of(score, kind, p) is not None for score in view.scores))
        for kind, parts in kinds.items()
    }


def _best(view: RunView) -> dict[tuple[str, str], float]:
    """The best mean per column of the score table: highest accuracy and answer scores, lowest response loss.

    The two parts of the loss have no best: one part may fall because the other rises.
    """
    best: dict[tuple[str, str], float] = {}
    columns = (
        *(("accuracy", tables.ACCURACY, max), ("metrics", tuple(tables.METRICS), max)),
        ("loss", ("response",), min),
    )
    for kind, parts, choose in columns:
        for part in parts:
            values = [value for score in view.scores if (value := tables.value_of(score, kind, part)) is not None]
            if len(set(values)) > 1:
                best[kind, part] = choose(values)
    return best


def _tiles(view: RunView) -> list[tuple[str, str, str]]:
    """The few numbers at the top: (label, value, small print)."""
    picks, facts = len(view.indices), sections.weight_facts(view)
    rest = "" if view.candidates == view.n else " candidates"
    share = units.percent(picks / max(1, view.candidates))
    tiles = [("chosen", units.count(picks), f"of {units.count(view.candidates)}{rest} ({share})")]
    alpha = view.diagnostics.get("alpha")
    if alpha is not None:
        tiles.append(("α", units.number(float(alpha), digits=3), str(view.diagnostics.get("alpha_mode") or "")))
    if facts and not facts["equal"]:
        share = units.percent(facts["effective_share"], digits=0)
        tiles.append(("effective size", units.number(facts["effective"], digits=3), f"{share} of the picks"))
    how = f"by {view.weighting}" if view.weighting in ("loss", "sampling") else ""
    how = units.count(len(view.rounds)) if view.rounds else how
    tiles.append(("training", words.training_word(view), how))
    if view.test_examples:
        error = answer.item_error(view)
        tiles.append(("test", units.count(view.test_examples), "examples" + (f", ±{error:.3f}" if error else "")))
    choosing = costs.together(view, "choosing")["seconds"]
    if choosing:
        tiles.append(("choosing", units.duration(choosing), "before training"))
    return tiles
