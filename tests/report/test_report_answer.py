"""The answer at the top, and the examples below it."""

from dataclasses import replace

import numpy as np
from report_views import bare_view, full_view

from coresift.report import costs, picks, sections, words
from coresift.report.answer import answer, headline

VIEW = full_view(n=60, k=6)


def compared(verdict, value=0.027, *, unweighted=None, **changes):
    found = {"value": value, "error": 0.01, "verdict": verdict, "resolvable": 0.02}
    scores = [*VIEW.scores, {**VIEW.scores[2], "name": "brief, unweighted", "accuracy": {"all": 0.49}}]
    against = {"metric": "accuracy", "better": "higher", "items": 420, "rows": {"brief": found, "full": found},
               "unweighted": unweighted, "item_errors": {"brief": 0.024}}  # fmt: skip
    return replace(VIEW, against=against, scores=scores, test_examples=420, **changes)


def test_the_answer_says_whether_it_is_better_by_how_much_and_whether_that_is_resolved():
    better = compared("better")
    assert headline(better) == "BRIEF is better than random"
    said = answer(better)
    assert said[0] == (
        "Accuracy on all items: 0.476 against 0.449 of random, +0.027; resolved better (it would be from 0.020 on)."
    )
    assert said[1].startswith("420 test examples, so the score alone is known to ±0.024")
    assert "keeps 57 % of the accuracy of training on the full pool (0.837), and loses 43 %" in said[2]
    open_ = compared("not resolved")
    assert headline(open_) == "BRIEF is not resolved better than random"
    assert answer(open_)[0].endswith("not resolved: a table like this one resolves differences above 0.020.")


def test_a_selection_alone_claims_nothing():
    said = answer(replace(VIEW, scores=()))
    assert said[0].startswith("Whether these picks are better than random ones is not known: nothing was trained")
    assert "no random subset was trained and scored beside it" in answer(VIEW)[0]
    assert answer(bare_view()) == ["This is a random selection: what methods are compared with."]
    assert headline(VIEW) == "BRIEF chose 6 of 60 examples"


def test_weights_that_did_not_help_are_said_in_the_first_paragraph():
    apart = {"value": 0.014, "error": 0.01, "verdict": "not resolved", "resolvable": 0.03}
    said = next(each for each in answer(compared("better", unweighted=apart)) if each.startswith("Without weights"))
    assert "reach 0.490 (+0.014): the weights did not help here, though the difference is not resolved." in said
    hurt = next(
        each for each in answer(compared("better", unweighted={**apart, "verdict": "better"})) if "hurt" in each
    )
    assert "the weights hurt: train without them" in hurt


def test_costs_of_choosing_are_told_from_those_of_comparing():
    assert answer(VIEW)[-1] == "Choosing cost 1 min 18 s and 420 k tokens on top of training."
    more = replace(VIEW, costs=[*VIEW.costs, {"stage": "training on full", "seconds": 112.0, "tokens": 273_000}])
    assert answer(more)[-1].endswith("; training on the full pool takes 1 min 52 s and 273 k tokens.")
    groups = costs.cost_groups(more)
    assert [group["heading"] for group in groups] == [
        "choosing", "training on the picks", "only to compare and report"
    ]  # fmt: skip
    shares = [row["share"] for group in groups for row in group["rows"]]
    assert np.isclose(sum(share for share in shares if share is not None), 1) and shares[-2:] == [None, None]


def with_distances():
    away = np.linspace(0.1, 6, 60)
    away[VIEW.indices] = 0.0
    nearest = np.arange(60) % 6
    nearest[VIEW.indices] = np.arange(6)
    return replace(VIEW, nearest=nearest.tolist(), distances=away.tolist())


def test_twelve_of_each_are_shown_from_the_nearest_to_the_worst_covered():
    view = with_distances()
    left_out = picks.left_out_examples(view)
    assert len(left_out) == 12 and len(picks.chosen_examples(view)) == 6
    away = [row["distance"] for row in left_out]
    assert away == sorted(away) and away[-1] == 1.0
    assert all(row["nearest"]["id"] in VIEW.coreset["ids"] for row in left_out)
    plain = picks.left_out_examples(VIEW)
    assert len(plain) == 12 and not {row["id"] for row in plain} & set(VIEW.coreset["ids"])
    assert all("nearest" not in row for row in plain)


def test_every_pick_says_for_how_many_it_stands_and_they_add_up_to_the_pool():
    rows = picks.pick_rows(with_distances())
    assert sum(row["stands"] for row in rows) == 60
    assert all(len(row["near"]) == 3 for row in rows) and [row["stands"] for row in picks.pick_rows(VIEW)] == [None] * 6
    assert [row["text"] for row in rows] == [VIEW.texts[position] for position in VIEW.indices]


def test_picks_of_long_texts_are_cut_alike_and_that_is_said(monkeypatch):
    assert picks.longest_text(VIEW) is None
    monkeypatch.setattr(picks, "MOST_TEXT", 60)
    assert picks.longest_text(VIEW) == 10
    assert all(len(row["text"]) == 10 and row["text"].endswith("…") for row in picks.pick_rows(VIEW))


def test_sources_without_a_pick_come_first_and_are_counted():
    view = bare_view(
        pool={"n": 5}, example_sources=["a", "a", "b", "b", "c"], coreset={"indices": [0, 2], "weights": [4.0, 1.0]}
    )
    mix = sections.by_distortion(sections.source_mix(view))
    assert [row["source"] for row in mix] == ["c", "a", "b"]
    assert words.represented(mix) == "1 of 3 sources is not represented: c (1 example)."


def test_a_plateau_of_few_subsets_and_a_lower_sum_elsewhere_are_said():
    trials = [{"alpha": a, "B_KN": 10.0 * a, "B_IF": 1.0, "picks": [0, 1]} for a in (0.1, 0.2, 0.5, 0.9, 0.95)]
    diagnostics = {"alpha": 0.95, "alpha_mode": "plateau", "search": {"pilot": 9, "sigma": 0.0}}
    view = bare_view(method="mint", trials=trials, coreset={**VIEW.coreset, "indices": [1], "ids": ["a"],
                     "weights": [10.0], "diagnostics": diagnostics})  # fmt: skip
    said = words.plateau(view)
    assert said.startswith("The 5 values of α gave only 1 different subset of the pilot")
    assert "% lower at α = 0.100 than at the α that was used" in said
    assert words.plateau(VIEW) == ""


def test_errors_per_example_are_shares_of_the_distance_of_two_random_examples():
    view = replace(VIEW, scale={"spread": {"knowledge": 200.0, "following": 100.0}})
    first = sections.relative_trials(view)[0]
    assert np.isclose(first["knowledge"], VIEW.trials[0]["B_KN"] / 60 / 200) and sections.relative_trials(VIEW) == []
    assert "below what it is with as many random picks" in words.covered(
        replace(VIEW, scale={"chosen": 1, "random": 2})
    )
