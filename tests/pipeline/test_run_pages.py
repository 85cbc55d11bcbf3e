"""What the page of a finished run is given: verdicts over test examples, and whom each pick stands for."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coresift.coreset import Coreset
from coresift.pipeline.coverage import cover, factors
from coresift.pipeline.reporting import gather
from coresift.pipeline.runs import Run


@pytest.fixture(scope="module")
def view(finished: Run):
    return gather(finished, Coreset.load(finished.folder))


def test_the_page_of_a_run_knows_its_test_and_how_every_row_differs_from_random(finished: Run, view) -> None:
    names = {row["name"] for row in view.scores}
    assert view.test_examples == 6 == view.against["items"]
    assert set(view.against["rows"]) == names - {"random"} and "unweighted" in view.against
    assert set(view.against["item_errors"]) == names
    assert view.against["metric"] == "accuracy"


def test_every_candidate_has_a_nearest_pick_and_every_pick_is_its_own(finished: Run, view) -> None:
    nearest, away = np.array(view.nearest), np.array(view.distances)
    assert nearest[view.indices].tolist() == list(range(len(view.indices))) and (away[view.indices] == 0).all()
    there = np.zeros(len(nearest), dtype=bool)
    there[finished.inputs.candidates] = True
    assert (nearest[~there] == -1).all() and np.isnan(away[~there]).all() and np.isfinite(away[there]).all()


def test_texts_are_whole_and_made_when_asked_for(finished: Run, view) -> None:
    message = finished.inputs.pool[3].messages[-1]
    assert view.texts[3].endswith(f"{message.role}: {message.content}") and view.texts[:2] == [*view.texts][:2]


@given(st.integers(2, 12), st.integers(1, 3), st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_nearest_picks_are_those_of_all_distances_computed_one_by_one(n: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    spaces = {name: torch.from_numpy(rng.normal(size=(n, 4))).float() for name in ("knowledge", "following")}
    picks = rng.choice(n, min(k, n), replace=False)
    weights = factors(spaces, {"alpha": 0.25})
    found = cover(spaces, weights, picks)
    each = sum(
        factor * np.linalg.norm(spaces[name].numpy()[:, None] - spaces[name].numpy()[picks][None], axis=2)
        for name, factor in (("knowledge", 0.75), ("following", 0.25))
    )
    assert found.distances == pytest.approx(each.min(axis=1), abs=1e-3)
    assert found.chosen == pytest.approx(each.min(axis=1).mean(), abs=1e-3)


def test_spaces_count_as_the_method_said() -> None:
    spaces = {name: torch.zeros(1, 1) for name in ("response", "knowledge", "following")}
    assert factors(spaces, {"coefficients": [0.5, 0.0, 2.0]}) == {"response": 0.5, "following": 2.0}
    assert factors({"knowledge": spaces["knowledge"]}, {}) == {"knowledge": 1.0}
    assert factors(spaces, {"alpha": 1.0}) == {"following": 1.0}


def test_a_run_shows_itself_in_a_notebook(finished: Run) -> None:
    shown = finished._repr_html_()
    assert "Run small" in shown and "accuracy, random" in shown and "index.html" in shown
