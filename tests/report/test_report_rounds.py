"""The page of a run that was trained in rounds."""

from pathlib import Path
from typing import Any

import pytest
from report_views import bare_view, full_view

from coresift.report import rounds, words
from coresift.report.page import write_report
from coresift.report.theme import LIGHT


def made_up(n: int = 4, **changes: Any) -> list[dict[str, Any]]:
    return [
        {
            "round": number,
            "arm": number % 2,
            "probabilities": [0.6, 0.4],
            "examples": 10,
            "loss": 3.0 - 0.2 * number,
            "utility_before": 3.0,
            "utility": 2.0 + number,
            "spent": 10 * (number + 1),
            "budget": 50,
            **changes,
        }
        for number in range(n)
    ]


def test_each_cluster_has_a_row_with_what_it_gave() -> None:
    first, second = rounds.arm_rows(bare_view(rounds=made_up()))
    assert first == {"arm": 0, "rounds": 2, "examples": 20, "before": 3.0, "after": 3.0, "probability": 0.6}
    assert (second["arm"], second["after"], second["probability"]) == (1, 4.0, 0.4)
    unknown = rounds.arm_rows(bare_view(rounds=made_up(1, utility=None)))
    assert unknown[0]["after"] is None


def test_the_page_tells_what_every_round_did(tmp_path: Path) -> None:
    estimates = {"none": {"examples": 8, "realised": -0.5, "estimated": 0.0, "rms": 0.75}}
    view = full_view(400, 40, rounds=made_up(), method="lead")
    view.coreset["diagnostics"]["estimates"] = estimates
    page = write_report(view, tmp_path).read_text()
    assert "Round by round" in page and "in 4 rounds" in page and "0.750" in page
    assert (tmp_path / "arms.png").exists() and (tmp_path / "rounds.png").exists()
    assert "LEAD chose 40 of 400 examples" in page and "was trained on in three rounds" in page


def test_policies_without_arms_have_no_picture_of_them(tmp_path: Path) -> None:
    view = bare_view(rounds=made_up(arm=None, probabilities=None))
    assert rounds.arms_figure(view, LIGHT) is None and rounds.arm_rows(view) == []
    assert rounds.progress_figure(view, LIGHT) is not None
    assert "cluster</th>" not in write_report(view, tmp_path).read_text()


def test_other_runs_have_no_such_section(tmp_path: Path) -> None:
    view = bare_view()
    assert rounds.progress_figure(view, LIGHT) is None and rounds.arms_figure(view, LIGHT) is None
    assert "Round by round" not in write_report(view, tmp_path).read_text()


@pytest.mark.parametrize(("given", "word"), [(made_up(), "in rounds"), ([], "none")])
def test_the_tile_says_how_it_was_trained(given: list[dict[str, Any]], word: str) -> None:
    assert words.training_word(bare_view(rounds=given, scores=[], weighting=None)) == word
