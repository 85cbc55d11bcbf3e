import pytest
from hypothesis import given
from hypothesis import strategies as st

from coresift.report.pareto import pareto_front

numbers = st.one_of(st.integers(0, 6).map(float), st.floats(-1e6, 1e6))
clouds = st.lists(st.tuples(numbers, numbers), max_size=40)


def dominates(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a[0] <= b[0] and a[1] <= b[1] and a != b


@given(clouds)
def test_no_point_of_the_front_is_dominated_and_every_other_point_is(points):
    front = set(pareto_front(points))
    for i, point in enumerate(points):
        assert any(dominates(other, point) for other in points) == (i not in front)


@given(clouds)
def test_the_front_runs_from_left_to_right_and_falls(points):
    drawn = [points[i] for i in pareto_front(points)]
    assert drawn == sorted(drawn, key=lambda p: (p[0], -p[1]))


@pytest.mark.parametrize(
    ("points", "front"), [([], []), ([(1, 1)], [0]), ([(1, 1), (1, 1)], [0, 1]), ([(1, 2), (1, 1)], [1])]
)
def test_small_cases_by_hand(points, front):
    assert pareto_front(points) == front
