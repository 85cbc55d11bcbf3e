"""The page of a comparison: what is resolved first, then tables, then figures with their data."""

import csv
import io

import pytest
from comparison_views import found, row
from test_report_page import Page

from coresift.report import comparison_data, theme
from coresift.report.comparison_page import write_comparison
from coresift.report.comparison_words import headline, in_figures
from coresift.report.csv_text import csv_text

FOUND = found()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theme, "DOTS_PER_INCH", 40)
        return write_comparison(FOUND, tmp_path_factory.mktemp("compared"))


def test_the_headline_names_what_is_resolved_and_says_so_where_nothing_is():
    assert headline(FOUND) == "brief is resolved better than random at 5 %"
    rows = [row("random", 0.5, control=True), row("a", 0.4, "resolved worse"), row("b", 0.4, "resolved worse")]
    table = {**FOUND["tables"][1], "rows": rows}
    worse = found(tables=[table])
    assert headline(worse) == "No method is resolved better than random, a and b are resolved worse at 5 %"
    two = found(tables=[*FOUND["tables"], {**table, "budget": "0.1"}])
    assert headline(two).startswith("brief is resolved better than random at 5 %; No method is resolved better")


def test_accuracy_decides_where_it_was_measured_and_the_loss_elsewhere():
    assert [table["metric"] for table in comparison_data.leading(FOUND)] == ["accuracy"]
    assert [table["metric"] for table in comparison_data.leading(found(tables=FOUND["tables"][:1]))] == ["loss"]


def test_the_first_numbers_are_those_of_the_best_method_random_and_full():
    said = in_figures(FOUND["tables"][1])
    assert said.startswith("accuracy on 100 test items: brief 0.580 ± 0.010 over 3 draws, random 0.500")
    assert "full 0.800" in said and "brief against random: +0.080, resolved better." in said


def test_choosing_pays_after_as_many_trainings_as_make_up_for_it():
    assert comparison_data.trainings_until_it_pays(FOUND["tables"][1]) == {"brief": 2}
    without = {"rows": FOUND["tables"][1]["rows"][:3]}
    assert comparison_data.trainings_until_it_pays(without) == {}


def test_the_chosen_alpha_is_marked_among_those_tried():
    rows = comparison_data.alpha_trials(FOUND)
    assert [each["chosen"] for each in rows] == [False, False, True] * 2
    assert comparison_data.alpha_scores(FOUND) == []  # one α was trained, and a curve needs three


def test_a_line_over_budgets_needs_two_of_them():
    assert comparison_data.score_against_budget(FOUND) == []
    two = found(tables=[*FOUND["tables"], {**FOUND["tables"][1], "budget": "0.1"}])
    assert {each["label"] for each in comparison_data.score_against_budget(two)} == {"random", "brief", "craig", "full"}


def test_the_page_holds_every_table_and_failure_and_nothing_from_outside(written):
    page = Page(written.read_text(encoding="utf-8"))
    text = " ".join(page.words.split())
    assert text.index("accuracy on the test, budget 0.05") < text.index("loss on the test, budget 0.05")
    assert "mint, budget 0.05, draw 0: no <b>room</b>" in text and "b" in page.tags
    for tag, name, value in page.attributes:
        if name in ("src", "href", "srcset"):
            assert value.startswith(("data:image/png;base64,", "data:text/csv;base64,", "#")), (tag, name)


def test_every_figure_lies_beside_the_page_with_the_rows_that_it_shows(written):
    names = {path.stem for path in written.parent.glob("*.png")}
    assert names == {"differences", "cost", "overlap", "errors", "alpha"}
    assert names == {path.stem for path in written.parent.glob("*.csv")}
    rows = list(csv.DictReader((written.parent / "overlap.csv").read_text().splitlines()))
    assert [float(each["jaccard"]) for each in rows] == [1.0, 0.25, 0.25, 1.0]


def test_a_name_that_a_spreadsheet_would_compute_is_text_and_numbers_stay_numbers():
    text = csv_text([{"source": "=1+1", "value": -2.5}, {"source": 'a,"b"\nc', "value": None}])
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows == [{"source": "'=1+1", "value": "-2.5"}, {"source": 'a,"b"\nc', "value": ""}]
    assert csv_text([]) == "" and csv_text([{"source": "\ud800"}]) == "source\n?\n"
