"""The page of a run: one HTML file that needs nothing else, with the figures also written beside it.

Text of the pool reaches the page by two roads only: Jinja's autoescape, and a JSON block without `<`, `>` and `&`. The
page's policy forbids every resource except embedded images, and every script except the one whose hash it names.
"""

import base64
import hashlib
from pathlib import Path
from typing import Any

from markupsafe import Markup

from coresift import units
from coresift.files import write_bytes, write_text
from coresift.report import rounds, sections, tables, words
from coresift.report.figures import alt_texts, draw
from coresift.report.scatter import MOST_UNCHOSEN, scatter_data, script_json, shorten, spaces_of, unchosen_positions
from coresift.report.view import RunView

HERE = Path(__file__).parent
MOST_LISTED = 50


def write_report(view: RunView, folder: str | Path) -> Path:
    """Write `index.html` and its figures into `folder`.

    Args:
        view: the run.
        folder: made when absent; files of the same names are replaced.

    Returns:
        The path of the page.
    """
    folder = Path(folder)
    figures = draw(view)
    for name, (light, _) in figures.items():
        write_bytes(folder / f"{name}.png", light)
    page = folder / "index.html"
    # A pool may hold lone surrogates, which UTF-8 cannot; they become question marks.
    write_text(page, render_page(view, figures).encode("utf-8", "replace").decode("utf-8"))
    return page


def render_page(view: RunView, figures: dict[str, tuple[bytes, bytes]]) -> str:
    """The HTML text; `figures` as `coresift.report.figures.draw` gives them."""
    script = (HERE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return _template().render(
        view=view,
        css=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=digest,
        figures={name: tuple(map(_data_uri, pair)) for name, pair in figures.items()},
        alts=alt_texts(view),
        **_facts(view),
    )


def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        count=units.count,
        number=units.number,
        prefixed=units.prefixed,
        duration=units.duration,
        percent=units.percent,
        shorten=shorten,
        spread_of=tables.spread_of,
        value_of=tables.value_of,
        seed_count=tables.seed_count,
        signed=units.signed,
    )
    return environment.get_template("page.html")


def _data_uri(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode()


def _facts(view: RunView) -> dict[str, Any]:
    """Everything the template prints, already computed."""
    costs, totals = sections.cost_rows(view)
    data, unchosen = scatter_data(view), len(unchosen_positions(view))
    return {
        "title": words.title(view),
        "lede": [words.chosen(view), words.trained(view)],
        "tiles": _tiles(view),
        "outcome": words.outcome(view.scores, len(view.indices)),
        "best": _best(view),
        "score_parts": _score_parts(view),
        "score_titles": {"accuracy": "accuracy", "metrics": "answers", "loss": "held-out loss, nats"},
        "part_titles": tables.METRICS,
        "arms": rounds.arm_rows(view),
        "estimates": rounds.estimate_rows(view),
        "unsearched": words.unsearched(view),
        "trial": sections.chosen_trial(view),
        "data": data,
        "data_json": Markup(script_json(data)) if data else "",
        "unchosen": unchosen,
        "subsampled": unchosen > MOST_UNCHOSEN,
        "moved": [name for name, (_, moved) in spaces_of(view).items() if moved],
        "mix": sections.source_mix(view),
        "lengths": sections.length_rows(view),
        "weight": sections.weight_facts(view),
        "weighed": words.weighed(view),
        "heaviest": sections.heaviest(view),
        "certificate": words.certificate(view),
        "summed": words.summed(view),
        "in_expectation": words.in_expectation(view),
        "compared": words.compared(view),
        "about_bounds": words.about_bounds(view),
        "gradients": sections.gradient_rows(view),
        "costs": costs,
        "cost_totals": totals,
        "settings": sections.flat_settings(view.settings),
        "excluded": list(view.pool.get("excluded") or [])[:MOST_LISTED],
        "n_excluded": len(view.pool.get("excluded") or []),
        "skipped": int(view.pool.get("skipped") or 0),
        "duplicates": int(view.pool.get("duplicates") or 0),
        "provenance": sections.flat_settings(view.provenance),
    }


def _score_parts(view: RunView) -> dict[str, tuple[str, ...]]:
    """The measurements that at least one row of the score table has: kind -> parts."""
    kinds = {"accuracy": tables.ACCURACY, "metrics": tuple(tables.METRICS), "loss": tables.LOSS}
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
    seconds = sections.cost_rows(view)[1]["seconds"]
    if seconds is not None:
        tiles.append(("whole run", units.duration(seconds), "all stages"))
    return tiles
