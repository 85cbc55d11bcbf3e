"""The score table, as aligned text for a terminal and as Markdown. Rows stay in the order given; none is hidden."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from coresift.units import MISSING, count, duration, is_number, prefixed

Score = Mapping[str, Any]
ACCURACY = ("knowledge", "following", "all")
METRICS = {"rouge1": "ROUGE-1", "similarity": "similarity", "judge": "judge"}
"""Metric of generated answers -> the head of its column."""
LOSS = ("response", "knowledge", "following")


def seed_count(score: Score) -> int | None:
    """How many seeds stand behind a row; `seeds` may be a number or the seeds themselves."""
    seeds = score.get("seeds")
    if seeds is None or is_number(seeds):
        return None if seeds is None else int(seeds)
    return len(seeds)


def value_of(score: Score, kind: str, part: str) -> float | None:
    """Mean of one measurement, None where it was not made."""
    value = (score.get(kind) or {}).get(part)
    return float(value) if is_number(value) else None


def spread_of(score: Score, kind: str, part: str) -> float | None:
    """Standard deviation over seeds of one measurement, None where there is none."""
    value = ((score.get("spread") or {}).get(kind) or {}).get(part)
    return float(value) if is_number(value) else None


def with_spread(score: Score, kind: str, part: str) -> str:
    """ "0.482 ± 0.013", or "0.482" without a spread, or a dash."""
    value, spread = value_of(score, kind, part), spread_of(score, kind, part)
    if value is None:
        return MISSING
    return f"{value:.3f}" if spread is None else f"{value:.3f} ± {spread:.3f}"


def _columns() -> list[tuple[str, Callable[[Score], str]]]:
    return [
        ("trained on", lambda score: str(score["name"])),
        ("seeds", lambda score: count(seed_count(score))),
        ("examples", lambda score: count(score.get("examples"))),
        ("steps", lambda score: count(score.get("steps") or None)),
        ("tokens", lambda score: prefixed(score.get("tokens"))),
        ("time", lambda score: duration(score.get("seconds"))),
        *[(f"acc. {part}", lambda score, part=part: with_spread(score, "accuracy", part)) for part in ACCURACY],
        *[(title, lambda score, part=part: with_spread(score, "metrics", part)) for part, title in METRICS.items()],
        ("held-out loss", lambda score: with_spread(score, "loss", "response")),
    ]


def _cells(scores: Sequence[Score]) -> list[list[str]]:
    """Header and rows; a column that no row has anything in is left out."""
    columns = [[title, *(" ".join(cell(score).split()) for score in scores)] for title, cell in _columns()]
    kept = [column for column in columns if any(cell != MISSING for cell in column[1:])]
    return [list(row) for row in zip(*kept, strict=True)]


def score_table(scores: Sequence[Score]) -> str:
    """Aligned plain text: names to the left, figures to the right, a rule under the header.

    Args:
        scores: rows as in `RunView.scores`.

    Returns:
        The table without a final newline; a sentence when there are no scores.
    """
    if len(scores) == 0:
        return "No scores: nothing was trained or evaluated."
    rows = _cells(scores)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) if place == 0 else cell.rjust(width) for place, (cell, width) in enumerate(cells))
        for cells in ([*zip(row, widths, strict=True)] for row in rows)
    ]
    rule = "  ".join("─" * width for width in widths)
    return "\n".join([lines[0], rule, *lines[1:]])


def unequal_steps(rows: Sequence[Score], name: str = "name") -> str:
    """A sentence where subsets of one size were trained for different numbers of optimizer steps; else empty.

    Args:
        rows: Of a table; random is what the others are compared with, else the first that was trained.
        name: The key of a row's name.
    """
    trained = [row for row in rows if row.get("steps")]
    plain = next((row for row in trained if row[name] == "random"), trained[0] if trained else None)
    if plain is None:
        return ""
    same = [row for row in trained if row["examples"] == plain["examples"]]
    others = [row for row in same if abs(row["steps"] - plain["steps"]) > 0.5]
    if not others:
        return ""
    named = ", ".join(f"{row[name]} ({row['steps']:.0f})" for row in others)
    first = f"{plain[name]} was trained for {plain['steps']:.0f}"
    return f"Steps differ: {first}, {named}. Part of a difference may be that."


def markdown_table(scores: Sequence[Score]) -> str:
    """The same table in Markdown, without a final newline; pipes and angle brackets in names are escaped."""
    if len(scores) == 0:
        return "No scores: nothing was trained or evaluated."
    rows = [[_plain(cell) for cell in row] for row in _cells(scores)]
    marks = ["---", *["---:"] * (len(rows[0]) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [rows[0], marks, *rows[1:]])


def _plain(cell: str) -> str:
    for mark, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|")):
        cell = cell.replace(mark, safe)
    return cell
