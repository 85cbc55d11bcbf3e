"""The figure of a plateau search."""

from dataclasses import replace

import pytest
from report_views import full_view

from coresift.report.plateau import plateau_figure
from coresift.report.theme import LIGHT

VIEW = full_view(n=300, k=15)
SEARCH = {"method": "plateau", "pilot": 90, "sigma": 0.5, "found": True}


def with_diagnostics(**changes):
    facts = {**VIEW.diagnostics, "alpha_mode": "plateau", "search": SEARCH, **changes}
    return replace(VIEW, coreset={**VIEW.coreset, "diagnostics": facts})


def test_a_plateau_search_is_drawn_with_a_star_at_the_alpha_chosen():
    figure = plateau_figure(with_diagnostics(), LIGHT)
    assert figure is not None
    left, right = figure.axes
    (star,) = [line for line in left.lines if line.get_marker() == "*"]
    assert star.get_xdata()[0] == pytest.approx(VIEW.diagnostics["alpha"])
    assert [label.get_text() for label in right.get_legend().get_texts()] == ["step", "σ"]


@pytest.mark.parametrize("changes", [{"alpha_mode": "searched"}, {"search": None}, {"alpha": None}])
def test_other_searches_have_no_such_figure(changes):
    assert plateau_figure(with_diagnostics(**changes), LIGHT) is None
