"""A comparison in Markdown: what is resolved first, then every table."""

from collections.abc import Mapping, Sequence
from typing import Any

from coresift.units import count, duration

COLUMNS = (
    *("trained on", "draws", "examples", "steps", "{metric}", "difference to random", "verdict"),
    *("training tokens", "all tokens", "time"),
)
HEADER = "| " + " | ".join(COLUMNS) + " |"
RULE = "| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: |"


def markdown(found: Mapping[str, Any]) -> str:
    """All tables of `compare.json`, the sentences first."""
    lines = [f"# {found['name']}", "", *(f"- {each}" for each in found["summary"])]
    for each in found["failed"]:
        lines.append(f"- failed: {each['label']}, budget {each['budget']}, draw {each['draw']}: {each['error']}")
    for table in found["tables"]:
        lines += [
            "",
            f"## {table['metric']}, {table['test']}, budget {table['budget']} ({table['better']} is better)",
            "",
        ]
        lines += [HEADER.format(metric=table["metric"]), RULE, *map(_row, table["rows"])]
        warning = unequal_steps(table["rows"])
        lines += ["", warning] if warning else []
    return "\n".join(lines) + "\n"


def _row(row: Mapping[str, Any]) -> str:
    value = f"{row['mean']:.3f}" + (f" ± {row['spread']:.3f}" if row["spread"] is not None else "")
    difference = "" if row["difference"] is None else f"{row['difference']:+.3f} ± {row['error']:.3f}"
    cells = [
        *(row["label"], row["draws"], count(row["examples"]), f"{row['steps']:.0f}", value, difference, row["verdict"]),
        *(count(round(row["training_tokens"])), count(round(row["tokens"])), duration(row["seconds"])),
    ]
    return "| " + " | ".join(str(each) for each in cells) + " |"


def unequal_steps(rows: Sequence[Mapping[str, Any]]) -> str:
    """A sentence where subsets of one size were trained for different numbers of steps."""
    plain = next(row for row in rows if row["label"] == "random")
    others = [row for row in rows if row["examples"] == plain["examples"] and abs(row["steps"] - plain["steps"]) > 0.5]
    if not others:
        return ""
    named = ", ".join(f"{row['label']} ({row['steps']:.0f})" for row in others)
    return f"Steps differ: random was trained for {plain['steps']:.0f}, {named}. Part of a difference may be that."
