"""The picks and what was left out, as examples that people read: texts, weights, and whom each pick stands for."""

from typing import Any

import numpy as np

from coresift.report.scatter import pool_ids, shorten
from coresift.report.view import RunView

MOST_TEXT = 6_000_000
"""Characters of picks that a page holds; longer pools have their picks' texts cut to an equal length."""
SHOWN = 12
"""Examples side by side."""
NEIGHBOURS = 3
"""Examples that are named beside a pick."""
NEIGHBOUR_TEXT = 160

Facts = dict[str, Any]


def longest_text(view: RunView) -> int | None:
    """To how many characters the texts of picks are cut, so that the page stays readable; None where they are not."""
    lengths = [len(view.texts[position]) for position in view.indices] if len(view.texts) else []
    return None if sum(lengths) <= MOST_TEXT else MOST_TEXT // len(lengths)


def pick_rows(view: RunView) -> list[Facts]:
    """Every pick in the order picked, for the searchable table.

    Returns:
        {pick, id, source, weight, copies, stands, text, near}: `stands`, how many examples have it as their nearest
        pick (None where distances are unknown); `near`, the nearest of them with the beginning of their text.
    """
    ids, cut, groups = pool_ids(view), longest_text(view), stood_for(view)
    copies = view.pool.get("copies") or {}
    rows = []
    for place, position in enumerate(view.indices.tolist()):
        text = _text(view, position)
        others = [other for other in groups.get(place, ()) if other != position]
        rows.append(
            {
                "pick": place + 1,
                "id": ids[position],
                "source": view.example_sources[position] if len(view.example_sources) else "",
                "weight": round(float(view.weights[place]), 4),
                "copies": int(copies.get(position, 0)),
                "stands": len(others) + 1 if len(view.nearest) else None,
                "text": text if cut is None else shorten(text, longest=cut),
                "near": [
                    {"id": ids[other], "text": shorten(_text(view, other), longest=NEIGHBOUR_TEXT)}
                    for other in others[:NEIGHBOURS]
                ],
            }
        )
    return rows


def stood_for(view: RunView) -> dict[int, list[int]]:
    """Place of a pick -> pool positions whose nearest pick it is, the nearest first; empty without distances."""
    if len(view.nearest) == 0:
        return {}
    nearest, away = np.asarray(view.nearest), np.asarray(view.distances)
    groups: dict[int, list[int]] = {}
    for position in np.argsort(away, kind="stable").tolist():
        if nearest[position] >= 0:
            groups.setdefault(int(nearest[position]), []).append(position)
    return groups


def chosen_examples(view: RunView) -> list[Facts]:
    """Picks from the heaviest to the lightest, evenly spaced in that order."""
    if len(view.texts) == 0:
        return []
    order = np.argsort(-view.weights, kind="stable")
    groups, ids = stood_for(view), pool_ids(view)
    return [
        {
            **_example(view, ids, int(view.indices[place])),
            "weight": float(view.weights[place]),
            "pick": int(place) + 1,
            "stands": len(groups[int(place)]) if int(place) in groups else None,
        }
        for place in order[_spaced(len(order))]
    ]


def left_out_examples(view: RunView) -> list[Facts]:
    """Examples that could have been chosen and were not, from the nearest to a pick to the farthest, evenly spaced.

    Each has its `distance` as a share of the farthest, and its `nearest` pick; without distances they are spread over
    the pool, and have neither.
    """
    if len(view.texts) == 0:
        return []
    ids = pool_ids(view)
    if len(view.nearest) == 0:
        barred = {str(row["id"]) for row in view.pool.get("excluded") or ()}
        others = [place for place in np.setdiff1d(np.arange(view.n), view.indices).tolist() if ids[place] not in barred]
        return [_example(view, ids, others[at]) for at in _spaced(len(others))]
    away = np.asarray(view.distances, dtype=np.float64)
    rest = np.setdiff1d(np.flatnonzero(np.asarray(view.nearest) >= 0), view.indices)
    order = rest[np.argsort(away[rest], kind="stable")]
    farthest = float(away[rest].max(initial=0.0)) or 1.0
    return [
        {
            **_example(view, ids, int(position)),
            "distance": float(away[position]) / farthest,
            "nearest": _example(view, ids, int(view.indices[view.nearest[position]])),
        }
        for position in order[_spaced(len(order))]
    ]


def _spaced(size: int) -> np.ndarray:
    """At most `SHOWN` places of a list, first and last among them."""
    return np.unique(np.linspace(0, size - 1, min(SHOWN, size)).round().astype(int))


def _example(view: RunView, ids: list[str], position: int) -> Facts:
    source = view.example_sources[position] if len(view.example_sources) else ""
    return {"id": ids[position], "source": source, "text": _text(view, position)}


def _text(view: RunView, position: int) -> str:
    return str(view.texts[position]) if len(view.texts) else ""
