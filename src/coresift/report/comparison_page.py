"""The page of a comparison: what is resolved first, then the tables, then the figures."""

from collections.abc import Mapping
from pathlib import Path

from coresift.report import comparison_words, document
from coresift.report.comparison_data import DATA, Found, leading, trainings_until_it_pays
from coresift.report.comparison_figures import ALTS, draw
from coresift.report.tables import unequal_steps

PICTURES = {
    "cost": ("Score against cost", "FLOPs of training, and of all that the selection took. A line is one standard "
             "deviation over draws to either side."),
    "budget": ("Score against budget", "Variants that were trained at several budgets."),
    "overlap": ("Do they choose the same?", "Jaccard index of the picks at the first draw: those in both, as a part of "
                "those in either."),
    "errors": ("Knowledge error against following error", "Length of the difference between the summed gradient of the "
               "pool and the weighted one of the picks, in both spaces; lower left is better. One point per draw."),
    "alpha": ("The search for α", "A line per draw and budget: how much each α tried is above the best one."),
    "alpha_scores": ("Score against α", "Every point is a trained model."),
}  # fmt: skip
"""Figures that have a section of their own: heading and caption."""


def write_comparison(found: Found, folder: str | Path) -> Path:
    """Write `index.html`, its figures and their data into `folder`.

    Args:
        found: What stands in `compare.json`.
        folder: Made when absent; files of the same names are replaced.

    Returns:
        The path of the page.
    """
    images, data = draw(found), {name: rows(found) for name, rows in DATA.items()}
    return document.write(Path(folder), render_comparison(found, images), images, data)


def render_comparison(found: Found, images: Mapping[str, tuple[bytes, bytes]]) -> str:
    """The HTML text; `images` as `coresift.report.comparison_figures.draw` gives them."""
    title, first = comparison_words.headline(found), leading(found)
    pictures = [(name, *PICTURES[name]) for name in PICTURES if name in images]
    failed = [("failed", "Cells that failed")] if found["failed"] else []
    return document.render(
        "comparison.html",
        scripts=["details.js"],
        images=images,
        alts=ALTS,
        data={name: rows(found) for name, rows in DATA.items()},
        blocks={},
        tab=f"{found['name']}: {title} · coresift compare",
        contents=[("top", "In short"), ("scores", "Scores"), *failed, *((name, head) for name, head, _ in pictures)],
        found={**found, "summary": _first_first(found)},
        title=title,
        numbers=[comparison_words.in_figures(table) for table in first],
        first=first,
        others=[table for table in found["tables"] if table not in first],
        pictures=pictures,
        paid=trainings_until_it_pays,
        unequal=lambda rows: unequal_steps(rows, "label"),
    )


def _first_first(found: Found) -> list[str]:
    """The sentences of all tables, those of the tables that decide in front."""
    first = [str(table["summary"]) for table in leading(found)]
    return [*first, *(str(each) for each in found["summary"] if each not in first)]
