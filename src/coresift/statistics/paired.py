"""Differences from a control on the same items, and which of them a table of this size can tell from none.

Every method has scores [draws, items], and so has the control. A draw is a replicate of everything before training
(order of the pool, warm-up, selection); training seeds are averaged inside it before they come here. The estimate is
the mean over items and draws of the method minus that of the control; `resampling` says what it could have been by
chance.

Draws are *shared* where draw d of a method and draw d of the control have the same pool order and seeds: differences
are then taken draw by draw, and what a draw does to both cancels. Else the two were drawn apart: both spreads count.

With the sizes of all resampled deviations sorted, the p-value of a difference is the part of them at least as large,
and the smallest resolvable difference is the one whose p-value is just small enough: interval, p-value and threshold
are one set of numbers, so a difference is resolved exactly where it is above the threshold printed beside it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import ceil
from statistics import NormalDist
from typing import Literal

import numpy as np

from coresift.errors import ComparisonError
from coresift.statistics.multiple import holm
from coresift.statistics.resampling import draw_deviations, item_deviations, standard_error, stretch
from coresift.statistics.spread import cautious, draw_spread, pooled, scores_of

Better = Literal["higher", "lower"]
Verdict = Literal["better", "worse", "not resolved"]

RESAMPLES = 9_999


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One method against the control, in the unit of the scores.

    Attributes:
        value: Mean score of the method minus that of the control.
        error: Standard error of `value`.
        low, high: Interval for this method alone, at the level of the comparison.
        p: Two-sided p-value for this method alone.
        adjusted: The same after Holm over all methods of the table.
        verdict: Whether the difference is resolved among all methods of the table, and which way.
        resolvable: Size above which this difference would be called resolved; `verdict` is `not resolved` exactly where
            |value| is not above it.
        detectable: Size of a true difference that is resolved in the share `power` of such tables.
        draws: Draws of the method.
    """

    value: float
    error: float
    low: float
    high: float
    p: float
    adjusted: float
    verdict: Verdict
    resolvable: float
    detectable: float
    draws: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All methods against one control.

    Attributes:
        differences: By method, in the order given.
        control: What they are compared with.
        control_draws: Its draws.
        items: Test items, the same for all.
        better: Which scores are better.
        level: Confidence that the table calls no difference resolved that is none.
        power: Share of tables in which `Difference.detectable` is resolved.
        draws_known: Whether anything had more than one draw. If not, nothing is known of other draws, and every number
            here is about these alone.
    """

    differences: Mapping[str, Difference]
    control: str
    control_draws: int
    items: int
    better: Better
    level: float
    power: float
    draws_known: bool


def compare(
    scores: Mapping[str, np.ndarray],
    control: np.ndarray,
    *,
    name: str = "random",
    shared_draws: bool = False,
    fixed: Collection[str] = (),
    better: Better = "higher",
    level: float = 0.95,
    power: float = 0.8,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare every method with the control.

    Args:
        scores: By method, [draws, items]: means over training seeds; the same items in the same order for all.
        control: [draws, items]; the number of draws may differ from a method's unless draws are shared.
        name: What the control is called.
        shared_draws: Whether draw d of a method belongs to draw d of the control.
        fixed: What has no draws, such as the untuned model: its one row is all there is. May hold `name`.
        better: Whether higher or lower scores are better.
        level: Confidence of every interval, and of all verdicts together.
        power: For `Difference.detectable`.
        resamples: Number of resamples.
        seed: Root of the resamples.

    Raises:
        ComparisonError: If there is nothing to compare; scores are not finite or of other items; shared draws differ in
            number; what is fixed has several rows; there are fewer than two items; or too few resamples for the level.
    """
    rows, against = {each: scores_of(given, what=each) for each, given in scores.items()}, scores_of(control, what=name)
    _refuse(rows, against, name, shared_draws, fixed)
    _refuse_few(resamples, len(rows), level)
    parts = {each: _parts(each, rows[each], against, name, shared_draws, fixed) for each in rows}
    together = pooled([draw_spread(part) for part in _once(parts)])
    spreads = {each: [(cautious(draw_spread(part), together), len(part)) for part in parts[each]] for each in rows}
    means = np.stack([each.mean(axis=0) - against.mean(axis=0) for each in rows.values()], axis=1)
    sizes = item_deviations(means, resamples, seed=seed) * stretch(len(means), resamples, seed=seed)[:, None]
    for column, its in enumerate(spreads.values()):
        for part, (spread, draws) in enumerate(its):
            sizes[:, column] += draw_deviations(spread, draws, resamples, seed=seed, part=part)
    sizes = np.sort(np.abs(sizes), axis=0)
    values = means.mean(axis=0)
    p = np.array([_p(value, size) for value, size in zip(values, sizes.T, strict=True)])
    adjusted = holm(p)
    resolved = adjusted <= 1.0 - level
    # Holm stopped here: what is left open was measured against this level, and what is not open passed it as well.
    last = (1.0 - level) / max(1, int((~resolved).sum()))
    found = {}
    for column, method in enumerate(rows):
        value, size = float(values[column]), sizes[:, column]
        half, among = _threshold(size, 1.0 - level), _threshold(size, last)
        error = standard_error(means[:, column], spreads[method])
        found[method] = Difference(
            value=value,
            error=error,
            low=value - half,
            high=value + half,
            p=float(p[column]),
            adjusted=float(adjusted[column]),
            verdict=_verdict(value, bool(resolved[column]), better),
            resolvable=among,
            detectable=among + NormalDist().inv_cdf(power) * error,
            draws=len(rows[method]),
        )
    return Comparison(
        differences=found,
        control=name,
        control_draws=len(against),
        items=against.shape[1],
        better=better,
        level=level,
        power=power,
        draws_known=together.freedom > 0,
    )


def _parts(
    method: str, rows: np.ndarray, against: np.ndarray, name: str, shared: bool, fixed: Collection[str]
) -> list[np.ndarray]:
    """The tables whose draws make a difference uncertain."""
    if shared:
        return [rows - against]
    return [table for owner, table in ((method, rows), (name, against)) if owner not in fixed]


def _once(parts: Mapping[str, list[np.ndarray]]) -> list[np.ndarray]:
    """All tables with draws; the control, which is part of every difference, once."""
    return list({id(table): table for each in parts.values() for table in each}.values())


def _p(value: float, sizes: np.ndarray) -> float:
    """Part of the deviations, this one counted too, that are at least as large."""
    larger = len(sizes) - int(np.searchsorted(sizes, abs(value), side="left"))
    return (1 + larger) / (1 + len(sizes))


def _threshold(sizes: np.ndarray, alpha: float) -> float:
    """The size that a difference has to exceed for a p-value of at most `alpha`."""
    allowed = int(alpha * (1 + len(sizes)) * (1 + 1e-12)) - 1
    return float(sizes[len(sizes) - 1 - allowed])


def _verdict(value: float, resolved: bool, better: Better) -> Verdict:
    if not resolved:
        return "not resolved"
    return "better" if (value > 0) == (better == "higher") else "worse"


def _refuse(
    rows: Mapping[str, np.ndarray], against: np.ndarray, name: str, shared: bool, fixed: Collection[str]
) -> None:
    if len(rows) == 0:
        raise ComparisonError(f"no methods given to compare with {name}. Give the scores of at least one.")
    if against.shape[1] < 2:
        raise ComparisonError("there is one test item: nothing can be said about others. Score on more.")
    for method, table in rows.items():
        if table.shape[1] != against.shape[1]:
            raise ComparisonError(
                f"{method} was scored on {table.shape[1]} items and {name} on {against.shape[1]}. "
                "Score both on the same items, in the same order."
            )
        if shared and len(table) != len(against):
            raise ComparisonError(
                f"{method} has {len(table)} draws and {name} has {len(against)}, so draws are not shared. "
                "Compare them as drawn apart, or leave out the draws that only one has."
            )
    for method, table in {**rows, name: against}.items():
        if method in fixed and len(table) > 1:
            raise ComparisonError(f"{method} is said to have no draws, but has {len(table)} rows of scores. Give one.")


def _refuse_few(resamples: int, methods: int, level: float) -> None:
    least = ceil(methods / (1.0 - level) * (1 - 1e-12))
    if resamples < least:
        raise ComparisonError(
            f"resamples is {resamples}: {methods} methods at level {level:g} need at least {least}. Ask for more."
        )
