"""A comparison in Markdown: what is resolved first, then every table."""

from collections.abc import Mapping
from typing import Any

from coresift.report.tables import unequal_steps
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
        warning = unequal_steps(table["rows"], "label")
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
