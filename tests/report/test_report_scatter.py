import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_views import bare_view, full_view

from coresift.report.document import script_json
from coresift.report.scatter import MOST_UNCHOSEN, drawn_positions, scatter_data, shorten, spread_out


@given(st.text())
def test_script_json_comes_back_whole_and_holds_nothing_that_ends_a_script(text):
    block = script_json({"text": text})
    assert json.loads(block) == {"text": text}
    assert block.isascii() and not set(block) & set("<>&")


def test_a_large_pool_is_thinned_the_same_way_every_time_and_keeps_all_picks():
    view = full_view(n=20_000, k=300)
    drawn = drawn_positions(view)
    assert len(drawn) == MOST_UNCHOSEN + 300 and len(set(drawn.tolist())) == len(drawn)
    assert np.array_equal(drawn[-300:], view.indices)
    assert np.array_equal(drawn, drawn_positions(full_view(n=20_000, k=300)))


def test_each_drawn_point_carries_its_own_text_source_id_and_weight():
    view = full_view(n=300, k=15)
    data = scatter_data(view)
    drawn = drawn_positions(view)
    for place in (0, 100, 290):
        assert data["ids"][place] == view.ids[drawn[place]]
        assert data["sources"][place] == view.example_sources[drawn[place]]
        assert data["texts"][place] == view.texts[drawn[place]]
    assert data["weights"] == view.weights.tolist() and data["unchosen"] == 285


def test_a_few_far_points_are_drawn_nearer_in_their_own_direction():
    points = np.random.default_rng(0).normal(size=(500, 2))
    points[0] = (300.0, 400.0)
    moved, changed = spread_out(points)
    assert changed and np.linalg.norm(moved[0]) < 10
    centred = points - np.median(points, axis=0)
    turned = (moved * centred).sum(1) / np.linalg.norm(moved, axis=1) / np.linalg.norm(centred, axis=1)
    assert turned == pytest.approx(np.ones(500))
    far, near = np.argsort(np.linalg.norm(centred, axis=1)), np.argsort(np.linalg.norm(moved, axis=1))
    assert np.array_equal(far, near)


def test_an_even_cloud_stays_where_it_is():
    points = np.random.default_rng(0).normal(size=(500, 2))
    moved, changed = spread_out(points)
    assert not changed and np.array_equal(moved, points)


def test_rows_without_a_place_are_kept_as_holes_where_another_space_has_them():
    points = np.array([[0.0, 1.0], [np.nan, np.nan], [2.0, 3.0]])
    spaces = {"knowledge": points, "response": np.ones((3, 2))}
    view = bare_view(pool={"n": 3}, coreset={"indices": [0], "weights": [3.0]}, spaces=spaces)
    assert scatter_data(view)["spaces"][0] == {"name": "knowledge", "points": [None, [2.0, 3.0], [0.0, 1.0]]}
    assert scatter_data(view)["spaces"][1]["name"] == "response"


def test_examples_without_a_place_take_none_of_the_room_for_those_with_one():
    points = np.full((20_000, 2), np.nan)
    points[::10] = 1.0
    view = bare_view(pool={"n": 20_000}, coreset={"indices": [0], "weights": [1.0]}, spaces={"response": points})
    assert drawn_positions(view).tolist() == [*range(10, 20_000, 10), 0] and scatter_data(view)["unchosen"] == 1999


def test_no_space_gives_no_chart_and_long_texts_are_cut():
    assert scatter_data(bare_view()) is None
    assert shorten("a" * 300, longest=10) == "a" * 9 + "…"


def test_a_list_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match=r"'texts' has 3 entries for a pool of 10; give one per pool example"):
        bare_view(texts=["a", "b", "c"])
