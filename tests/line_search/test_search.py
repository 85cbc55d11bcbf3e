"""One-dimensional searches evaluate where they should and forget nothing."""

import math
from collections.abc import Callable

import pytest

from coresift.line_search.search import Searched, evaluations, flat_part, golden_section, ternary

VALLEY = "0.381966 0.618034 0.763932 0.527864 0.673762 0.583592 0.639320 0.604878 0.626165 0.613009 0.609903 0.614928"
VALLEY += " 0.611823 0.611090"


def valley(alpha: float) -> float:
    return (alpha - 0.612) ** 2


def test_golden_section_walks_down_a_valley() -> None:
    found = golden_section(valley, precision=0.005, max_iterations=15)
    assert [f"{place:.6f}" for place, _ in found.trials] == VALLEY.split()
    assert found.best == pytest.approx(0.611823, abs=1e-6)


def test_the_best_point_may_be_an_early_one() -> None:
    def trap(alpha: float) -> float:
        return 0.0 if abs(alpha - 0.381966) < 1e-3 else 1.0 + abs(alpha - 0.35)

    found = golden_section(trap, precision=0.005, max_iterations=15)
    assert found.best == pytest.approx(0.381966, abs=1e-6)


SEARCHES: dict[str, Callable[..., Searched]] = {"golden": golden_section, "ternary": ternary}


def wavy(alpha: float) -> float:
    return math.sin(40.0 * alpha) + alpha


@pytest.mark.parametrize("f", [valley, wavy, lambda alpha: 1.0, lambda alpha: -alpha])
@pytest.mark.parametrize(("precision", "most"), [(0.005, 15), (0.02, 3), (0.9, 1)])
@pytest.mark.parametrize("ahead", [1, 2, 3, 4])
@pytest.mark.parametrize("method", SEARCHES)
def test_looking_ahead_prepares_every_place_before_it_is_asked_for_and_changes_nothing(
    method: str, ahead: int, precision: float, most: int, f: Callable[[float], float]
) -> None:
    batches: list[list[float]] = []

    def prepared(alpha: float) -> float:
        assert alpha in batches[-1], "what an earlier batch held is let go"
        return f(alpha)

    limits = {"precision": precision, "max_iterations": most}
    found = SEARCHES[method](prepared, **limits, prepare=batches.append, ahead=ahead)
    assert found == SEARCHES[method](f, **limits)
    assert all(len(set(batch)) == len(batch) for batch in batches)


@pytest.mark.parametrize("ahead", [1, 2, 3, 4])
@pytest.mark.parametrize(("method", "rounds"), [("golden", 1 + 12), ("ternary", 14 + 1)])
def test_a_batch_holds_as_many_rounds_as_are_looked_ahead(method: str, rounds: int, ahead: int) -> None:
    """Golden section begins with a round of two places, ternary search ends with a round of one."""
    told: list[list[float]] = []
    SEARCHES[method](valley, precision=0.005, max_iterations=15, prepare=told.append, ahead=ahead)
    most = {"golden": 2**ahead, "ternary": 2 * (2**ahead - 1)}[method]
    assert len(told) <= math.ceil(rounds / ahead) and max(map(len, told)) <= most


def test_ternary_prepares_nothing_beyond_the_iterations_allowed() -> None:
    told: list[list[float]] = []
    ternary(valley, precision=0.005, max_iterations=1, prepare=told.append, ahead=3)
    assert all(min(abs(place - 1 / 3), abs(place - 2 / 3)) < 1e-12 for place in sum(told, []))


@pytest.mark.parametrize(
    ("values", "part"),
    [([5.0, 1.0, 3.0], (0.2, 0.2)), ([1.0005, 1.0, 1.0009, 2.0, 1.0], (0.1, 0.3)), ([0.0, 0.0], (0.1, 0.2))],
)
def test_the_flat_part_of_a_search_is_what_lies_within_the_tolerance(values: list[float], part: tuple) -> None:
    trials = [(0.1 * (place + 1), value) for place, value in enumerate(values)]
    assert flat_part(trials[::-1], tolerance=1e-3) == pytest.approx(part)


def test_equal_values_move_golden_section_to_the_right_and_the_first_wins() -> None:
    found = golden_section(lambda alpha: 1.0, precision=0.005, max_iterations=15)
    places = [place for place, _ in found.trials]
    assert places == sorted(places) and found.best == places[0]


def test_golden_section_stops_after_the_iterations_allowed() -> None:
    assert len(golden_section(valley, precision=0.005, max_iterations=3).trials) == 5


def test_ternary_takes_two_points_a_step_and_the_middle() -> None:
    found = ternary(valley, precision=0.005, max_iterations=15)
    places = [place for place, _ in found.trials]
    assert places[:2] == pytest.approx([1 / 3, 2 / 3]) and len(places) == 2 * 14 + 1
    assert abs(places[-1] - 0.612) < 0.005 and abs(found.best - 0.612) < 0.005


@pytest.mark.parametrize("method", SEARCHES)
@pytest.mark.parametrize(("precision", "most"), [(0.005, 15), (0.01, 10), (0.5, 4), (0.3, 1), (1e-4, 100)])
def test_the_number_of_evaluations_is_known_beforehand(method: str, precision: float, most: int) -> None:
    found = SEARCHES[method](valley, precision=precision, max_iterations=most)
    assert len(found.trials) == evaluations(method, precision=precision, max_iterations=most)


def test_the_first_of_equal_trials_is_the_best() -> None:
    assert Searched(((0.4, 2.0), (0.6, 1.0), (0.7, 1.0))).best == 0.6
