"""A comparison in plain words: what is resolved, what is not, and what this table could have told."""

from collections.abc import Sequence

from coresift.statistics.paired import Comparison, Difference


def verdict(difference: Difference, *, digits: int = 3) -> str:
    """For a cell of a table: `resolved better`, `resolved worse` or `not resolved (smallest resolvable ±0.021)`."""
    if difference.verdict == "not resolved":
        return f"not resolved (smallest resolvable ±{difference.resolvable:.{digits}f})"
    return f"resolved {difference.verdict}"


def summary(comparison: Comparison, *, digits: int = 3) -> str:
    """The first sentences of a page: which methods are resolved better and worse, which are not, and why not.

    Differences are method minus control, in the unit of the scores.
    """
    groups = {
        each: [name for name, found in comparison.differences.items() if found.verdict == each]
        for each in ("better", "worse", "not resolved")
    }
    said = [
        f"Resolved {each} than {comparison.control}: {_with_values(comparison, groups[each], digits)}."
        for each in ("better", "worse")
        if groups[each]
    ]
    if not said:
        said = [f"No method is resolved better or worse than {comparison.control}."]
    if groups["not resolved"]:
        said.append(f"Not resolved: {_with_values(comparison, groups['not resolved'], digits, limits=True)}.")
    return " ".join([*said, _basis(comparison, digits)])


def _with_values(comparison: Comparison, names: Sequence[str], digits: int, *, limits: bool = False) -> str:
    found = comparison.differences
    return ", ".join(
        f"{name} ({found[name].value:+.{digits}f}"
        + (f", smallest resolvable ±{found[name].resolvable:.{digits}f})" if limits else ")")
        for name in names
    )


def _basis(comparison: Comparison, digits: int) -> str:
    """What the verdicts rest on."""
    found = comparison.differences.values()
    draws = sorted({each.draws for each in found})
    counts = str(draws[0]) if len(draws) == 1 else f"{draws[0]} to {draws[-1]}"
    true = sorted({f"±{each.detectable:.{digits}f}" for each in found})
    said = (
        f"{comparison.items} test items, {counts} draws of each method and {comparison.control_draws} of "
        f"{comparison.control}; {comparison.level:.0%} confidence for all verdicts together. True differences of "
        f"{true[0] if len(true) == 1 else f'{true[0]} to {true[-1]}, by method,'} would be resolved in "
        f"{comparison.power:.0%} of such tables."
    )
    if not comparison.draws_known:
        said += " With one draw of everything, nothing is known of other draws: this is about these subsets alone."
    return said.replace(" 1 draws", " 1 draw")
