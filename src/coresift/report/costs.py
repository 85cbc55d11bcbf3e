"""What a run cost, split by what somebody who uses the method would pay and what was spent to compare and report."""

from typing import Any

from coresift.report.view import RunView

UNITS = ("seconds", "tokens", "flops")
TRAINING = ("final training", "training in rounds", "merging")
REPORTING = ("evaluation", "figures", "training without weights")
GROUPS = {
    "choosing": "choosing",
    "training": "training on the picks",
    "full": "only to compare and report",
    "other": "only to compare and report",
    "overhead": "the command itself",
}
"""Group of a stage -> its heading."""


def group_of(stage: str) -> str:
    """Which of `GROUPS` a stage of `costs.json` belongs to; what trains nothing to compare is part of choosing."""
    if stage == "training on full":
        return "full"
    if stage in REPORTING or stage.startswith("training on "):
        return "other"
    if stage in TRAINING:
        return "training"
    return "overhead" if stage == "other" else "choosing"


def together(view: RunView, *groups: str) -> dict[str, float | None]:
    """Seconds, tokens and FLOPs of all stages of some groups; None where no stage knows the unit."""
    rows = [row for row in view.costs if group_of(str(row["stage"])) in groups]
    return {unit: _total([row.get(unit) for row in rows]) for unit in UNITS}


def cost_groups(view: RunView) -> list[dict[str, Any]]:
    """The stages under their headings, first what a user pays.

    Returns:
        {heading, rows: {stage, share, seconds, tokens, flops}, total}; shares are of the seconds of choosing and
        training on the picks, and None for what is spent besides.
    """
    paid = together(view, "choosing", "training")["seconds"] or 1.0
    found = []
    for heading in dict.fromkeys(GROUPS.values()):
        members = tuple(group for group, its in GROUPS.items() if its == heading)
        rows = [row for row in view.costs if group_of(str(row["stage"])) in members]
        if rows:
            is_paid = members[0] in ("choosing", "training")
            found.append(
                {
                    "heading": heading,
                    "rows": [
                        {
                            "stage": row["stage"],
                            "share": (row.get("seconds") or 0.0) / paid if is_paid else None,
                            **{unit: row.get(unit) for unit in UNITS},
                        }
                        for row in rows
                    ],
                    "total": together(view, *members),
                }
            )
    return found


def _total(values: list[Any]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
