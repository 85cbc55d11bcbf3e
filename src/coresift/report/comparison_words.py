"""The sentences of a comparison's page: what is resolved, by how much, and what the numbers are."""

from collections.abc import Mapping, Sequence

from coresift.report.comparison_data import Found, leading
from coresift.report.words import budget_words
from coresift.units import difference


def headline(found: Found) -> str:
    """What the table that decides says of the methods, in one sentence; of several budgets, of each."""
    tables = leading(found)
    said = [(budget_words(table["budget"]), _of_one(table["rows"])) for table in tables]
    if len(said) == 0:
        return "Nothing was measured"
    if len({text for _, text in said}) == 1:
        where = ", ".join(budget for budget, _ in said[:-1]) + (" and " if len(said) > 1 else "") + said[-1][0]
        return f"{said[0][1]} at {where}"
    return "; ".join(f"{text} at {budget}" for budget, text in said)


def _of_one(rows: Sequence[Mapping[str, object]]) -> str:
    methods = [row for row in rows if not row["control"]]
    if not methods:
        return "No method was compared with random"
    better, worse = (
        [str(row["label"]) for row in methods if row["verdict"] == f"resolved {each}"] for each in ("better", "worse")
    )
    said = [
        f"{_joined(better)} {_is(better)} better than random" if better else "No method is resolved better than random"
    ]
    if worse:
        said.append(f"{_joined(worse)} {_is(worse)} worse")
    return ", ".join(said)


def _is(names: Sequence[str]) -> str:
    return "is resolved" if len(names) == 1 else "are resolved"


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + f" and {names[-1]}"


def in_figures(table: Mapping[str, object]) -> str:
    """The numbers that a reader asks for first: the best method, random, and the full pool where it was trained."""
    rows: list[Mapping[str, object]] = list(table["rows"])  # type: ignore[call-overload]
    sign = 1.0 if table["better"] == "higher" else -1.0
    methods = sorted((row for row in rows if not row["control"]), key=lambda row: -sign * float(str(row["mean"])))
    plain = next(row for row in rows if row["label"] == "random")
    full = next((row for row in rows if row["label"] == "full"), None)
    named = [*methods[:1], plain, *([full] if full is not None else [])]
    parts = [f"{row['label']} {row['mean']:.3f}" + _spread(row) for row in named]
    best = methods[0] if methods else None
    gap = (
        "" if best is None else f"; {best['label']} against random: {difference(best['difference'])}, {best['verdict']}"
    )
    return f"{table['metric']} on {table['items']} test items: {', '.join(parts)}{gap}."


def _spread(row: Mapping[str, object]) -> str:
    return "" if row["spread"] is None else f" ± {row['spread']:.3f} over {row['draws']} draws"
