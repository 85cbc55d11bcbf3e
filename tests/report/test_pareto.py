import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_views import full_view

from coresift.report.figures import pareto_figure
from coresift.report.pareto import HEIGHT, WIDTH, pareto_front, with_room
from coresift.report.theme import LIGHT

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


@given(clouds.filter(bool), st.data())
def test_labels_do_not_run_into_each_other_and_the_first_is_always_there(points, data):
    first = data.draw(st.lists(st.integers(0, len(points) - 1), min_size=1, max_size=3))
    shown = with_room(points, first)
    assert shown[0] == first[0] and len(set(shown)) == len(shown)
    spans = [(max(values) - min(values)) or 1.0 for values in zip(*points, strict=True)]
    for place, i in enumerate(shown):
        for j in shown[:place]:
            dx, dy = (abs(a - b) / span for a, b, span in zip(points[i], points[j], spans, strict=True))
            assert dx >= 0.99 * WIDTH or dy >= 0.99 * HEIGHT


def test_points_far_apart_are_all_labelled_and_equal_ones_once():
    assert with_room([(0, 4), (1, 1), (4, 0), (1, 1)], [2]) == [2, 0, 1]


def test_the_figure_names_the_alpha_of_the_chosen_trial_once_and_of_others_where_there_is_room():
    view = full_view(n=300, k=15)
    figure = pareto_figure(view, LIGHT)
    assert figure is not None
    texts = [text.get_text() for text in figure.axes[0].texts]
    named = [text for text in texts if text.startswith("chosen, α = ")]
    others = [float(text) for text in texts if text not in named]
    assert len(named) == 1 and len(set(others)) == len(others)
    assert 2 <= len(others) < len(view.trials) and {0.38, 0.76} <= set(others)
