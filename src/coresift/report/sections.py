"""What each section of the page shows, computed from the view: shares, quantiles, sums. No markup here."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from coresift.report.view import RunView

Facts = dict[str, Any]
MEASURED = {"knowledge": "KN", "following": "IF", "response": "SFT"}
"""Space -> how its numbers e, A and B end in the diagnostics."""


def source_mix(view: RunView) -> list[Facts]:
    """One row per source, most frequent in the pool first: shares of the pool, of the picks and of the weight.

    Returns:
        Rows {source, pool, pool_share, picks, pick_share, weight, weight_share}; empty when sources are unknown.
    """
    pool = Counter(view.example_sources)
    if not pool:
        return []
    picks: Counter[str] = Counter()
    weight: dict[str, float] = {}
    for position, value in zip(view.indices, view.weights, strict=True):
        source = view.example_sources[position]
        picks[source] += 1
        weight[source] = weight.get(source, 0.0) + float(value)
    total = sum(weight.values()) or 1.0
    return [
        {
            "source": source or "(no source)",
            "pool": size,
            "pool_share": size / pool.total(),
            "picks": picks[source],
            "pick_share": picks[source] / max(1, picks.total()),
            "weight": weight.get(source, 0.0),
            "weight_share": weight.get(source, 0.0) / total,
        }
        for source, size in sorted(pool.items(), key=lambda item: (-item[1], item[0]))
    ]


def by_distortion(mix: list[Facts]) -> list[Facts]:
    """The same rows, those without a pick first (the largest of them first), then by how far the ratio of their share
    of the weight to their share of the pool is from 1, on a scale where twice is as far as half."""
    return sorted(mix, key=lambda row: (row["picks"] > 0, -_distortion(row), -row["pool"]))


def _distortion(row: Facts) -> float:
    return 0.0 if row["picks"] == 0 else abs(float(np.log(max(row["weight_share"], 1e-12) / row["pool_share"])))


def relative_trials(view: RunView) -> list[Facts]:
    """Every trial with its errors per example, as a share of how far apart two random examples are in that space.

    Returns:
        Rows {alpha, knowledge, following, sum} in the order tried; empty where the scale was not measured.
    """
    spread = view.scale.get("spread") or {}
    pilot = (view.diagnostics.get("search") or {}).get("pilot")
    n = int(pilot) if pilot and view.diagnostics.get("alpha_mode") == "plateau" else view.candidates
    if not all(spread.get(space) for space in ("knowledge", "following")):
        return []
    rows = []
    for trial in view.trials:
        knowledge, following = float(trial["B_KN"]) / n, float(trial["B_IF"]) / n
        rows.append(
            {
                "alpha": float(trial["alpha"]),
                "knowledge": knowledge / spread["knowledge"],
                "following": following / spread["following"],
                "sum": (knowledge + following) / (spread["knowledge"] + spread["following"]),
            }
        )
    return rows


def response_lengths(view: RunView) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Response tokens of the pool `[m]`, of the picks `[k]`, and the picks' weights; None when lengths are unknown."""
    raw = view.pool.get("lengths")
    if raw is None or len(raw) == 0:
        return None
    lengths = np.asarray([np.nan if length is None else length for length in raw], dtype=np.float64)
    picked, weights = lengths[view.indices], view.weights
    known = np.isfinite(picked)
    everything = lengths[np.isfinite(lengths)]
    if len(everything) == 0 or not known.any():
        return None
    return everything, picked[known], weights[known]


def weighted_quantile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    """The smallest value at or below which lies `share` of the weight."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    place = int(np.searchsorted(reached, share * reached[-1] * (1 - 1e-12)))
    return float(values[order][min(place, len(values) - 1)])


def length_rows(view: RunView) -> list[Facts]:
    """Mean, median, 90 % point, longest and total response tokens: of the pool, the picks, the weighted picks."""
    found = response_lengths(view)
    if found is None:
        return []
    pool, picked, weights = found
    rows = [("pool", pool, np.ones(len(pool))), ("chosen, counted", picked, np.ones(len(picked)))]
    rows.append(("chosen, weighted", picked, weights))
    return [
        {
            "name": name,
            "mean": float(np.average(values, weights=mass)),
            "median": weighted_quantile(values, mass, 0.5),
            "high": weighted_quantile(values, mass, 0.9),
            "longest": float(values.max()),
            "total": float(values.sum()) if name != "chosen, weighted" else None,
        }
        for name, values, mass in rows
    ]


def weight_facts(view: RunView) -> Facts:
    """Sum, extremes, effective sample size (sum w)^2 / sum w^2, and how few picks carry half of the weight."""
    weights = np.sort(view.weights)[::-1]
    if len(weights) == 0:
        return {}
    total = float(weights.sum())
    effective = total**2 / float((weights**2).sum())
    return {
        "picks": len(weights),
        "sum": total,
        "smallest": float(weights[-1]),
        "median": float(np.median(weights)),
        "largest": float(weights[0]),
        "effective": effective,
        "effective_share": effective / len(weights),
        "half": int(np.searchsorted(np.cumsum(weights), total / 2)) + 1,
        "equal": bool(np.ptp(weights) == 0),
    }


def scaled_distances(view: RunView) -> bool:
    """Whether distances were taken between scaled gradients, so that A does not bound the error of the real ones."""
    settings = view.provenance.get("settings") or {}
    return bool(settings.get("unit_norm")) or float(settings.get("norm_power", 1.0)) != 1.0


def gradient_rows(view: RunView) -> list[Facts]:
    """Error of the weighted gradient sum in each space that the method looked at, with what was measured beside it.

    A bounds the error in its space. Where the response has no A of its own, it is bounded by the sum of the other two,
    since its gradient is theirs. A method of one space says SFT for whichever loss it looked at. The bound is None
    where A was not measured, or on scaled gradients: the errors are always those of the real ones.

    Returns:
        Rows {space, error, bound, cover, share}: ||e||, A, B, and ||e|| / A; empty when no error was measured.
    """
    found = view.diagnostics
    rows = [
        {"space": space, "error": found[f"e_{key}"], "bound": found.get(f"A_{key}"), "cover": found.get(f"B_{key}")}
        for space, key in MEASURED.items()
        if found.get(f"e_{key}") is not None
    ]
    if len(rows) == 1 and rows[0]["space"] == "response":
        rows[0]["space"] = loss_covered(view)
    if response_is_their_sum(view):
        rows[-1]["space"] = "response (their sum)"
        rows[-1]["bound"] = float(found["A_KN"]) + float(found["A_IF"])
    for row in rows:
        row["bound"] = None if scaled_distances(view) else row["bound"]
        row["share"] = row["error"] / row["bound"] if row["bound"] else None
    return rows


def loss_covered(view: RunView) -> str:
    """The loss whose gradients a method of one space looked at."""
    return str((view.provenance.get("settings") or {}).get("loss", "response"))


def response_is_their_sum(view: RunView) -> bool:
    """Whether the response is bounded by the other two spaces, for want of distances of its own."""
    found = view.diagnostics
    known = [found.get(key) is not None for key in ("e_SFT", "A_KN", "A_IF")]
    return all(known) and found.get("A_SFT") is None


def chosen_trial(view: RunView) -> int | None:
    """Position of the trial whose alpha the coreset was made with; None without trials or without an alpha."""
    alpha = view.diagnostics.get("alpha")
    if alpha is None or len(view.trials) == 0:
        return None
    gaps = [abs(float(trial["alpha"]) - float(alpha)) for trial in view.trials]
    place = int(np.argmin(gaps))
    return place if gaps[place] < 1e-6 else None


def flat_settings(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as sorted-by-appearance (dotted key, value) pairs."""
    rows: list[tuple[str, str]] = []
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            rows += flat_settings(value, f"{name}.")
        else:
            rows.append((name, "none" if value is None else str(value)))
    return rows
