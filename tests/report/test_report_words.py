import pytest
from report_views import bare_view, full_view

from coresift.report import words

FULL = full_view(n=300, k=15)


def with_changes(view, **changes):
    from dataclasses import replace

    return replace(view, **changes)


def test_the_headline_says_what_was_chosen_from_what_and_how():
    assert words.title(FULL) == "BRIEF chose 15 of 300 examples"
    sentence = words.chosen(FULL).replace("\u00a0", " ")
    assert sentence.startswith("Under a budget of 5%, BRIEF chose 15 of the pool's 300 examples, with α = 0.")
    assert sentence.endswith("the best of 11 values tried.")


def test_random_and_full_are_said_plainly():
    assert words.chosen(bare_view()) == "2 of the pool's 10 examples were chosen at random."
    balanced = bare_view(method="balanced-random")
    assert words.chosen(balanced) == (
        "2 of the pool's 10 examples were chosen at random with equal shares for all sources."
    )
    whole = bare_view(method="full", coreset={"indices": list(range(10)), "weights": [1.0] * 10})
    assert words.title(whole) == "All 10 examples were kept"
    assert words.chosen(whole) == "The whole pool was kept, 10 examples."


def test_examples_that_could_not_be_chosen_are_named():
    view = bare_view(coreset={"indices": [1], "weights": [8.0], "provenance": {"n": 8}})
    assert words.chosen(view) == "1 of the pool's 10 examples, of which 8 could be chosen, were chosen at random."


def test_candidates_drawn_from_the_pool_are_told_from_it():
    coreset = {"indices": [1], "weights": [8.0], "provenance": {"n": 8}}
    view = bare_view(method="kcenter", coreset=coreset, settings={"pool": {"examples": 8}})
    assert words.title(view) == "k-center chose 1 of 8 candidates (of 10 in the pool)"
    assert "from each candidate to the nearest pick" in words.summed(view) and "pool example" not in words.summed(view)


def test_the_whole_pool_is_what_could_be_chosen():
    coreset = {"indices": list(range(8)), "weights": [1.0] * 8, "provenance": {"n": 8}}
    view = bare_view(method="full", coreset=coreset)
    assert words.title(view) == "All 8 candidates of 10 examples were kept"
    assert words.chosen(view) == "The whole pool was kept, 8 of 10 examples, all that could be chosen."


def test_a_fixed_alpha_is_not_called_searched():
    diagnostics = {"alpha": 0.5, "alpha_mode": "fixed"}
    view = bare_view(method="brief", coreset={"indices": [1], "weights": [10.0], "diagnostics": diagnostics})
    assert "fixed at 0.500" in words.chosen(view) and "best of" not in words.chosen(view)


def test_an_alpha_from_a_plateau_is_not_called_the_best():
    diagnostics = {"alpha": 0.96, "alpha_mode": "plateau"}
    view = bare_view(method="mint", coreset={"indices": [1], "weights": [10.0], "diagnostics": diagnostics})
    assert words.chosen(view).endswith("where the following error levels off.") and "MINT chose 1" in words.title(view)


def test_a_shortfall_is_said_in_the_lede():
    diagnostics = {"shortfall": "no further example lowers the objective after 1 picks"}
    view = bare_view(method="gradmatch", coreset={"indices": [1], "weights": [10.0], "diagnostics": diagnostics})
    assert words.chosen(view).endswith("fewer than asked for: no further example lowers the objective after 1 picks.")


@pytest.mark.parametrize(
    ("weighting", "start", "word"),
    [
        ("loss", "The final training was weighted (by loss)", "weighted"),
        ("sampling", "The final training was weighted (by sampling)", "weighted"),
        ("none", "The final training was unweighted", "unweighted"),
        (None, "Whether the final training was weighted or unweighted is not recorded", "not recorded"),
    ],
)
def test_the_headline_says_whether_training_was_weighted(weighting, start, word):
    view = with_changes(FULL, weighting=weighting)
    assert words.trained(view).startswith(start)
    assert words.training_word(view) == word


def test_without_training_no_claim_about_weights_is_made():
    assert words.trained(bare_view()) == "No final model was trained in this run."
    assert "same as unweighted" in words.trained(bare_view(weighting="loss"))


def test_without_accuracy_the_lowest_held_out_loss_decides():
    rows = [{"name": n, "examples": 5, "loss": {"response": v}} for n, v in (("BRIEF", 1.5), ("random", 1.25))]
    assert words.outcome(rows, 5).startswith(
        "At 5 examples, random reaches the lowest held-out loss, 0.250 below BRIEF;"
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [("0.05", "5 %"), ("1.0", "100 %"), ("200", "200 examples"), ("1", "1 example"), ("5%", "5%"),
     ("20000 tokens", "20000 tokens"), ("7.5", "7.5")],
)  # fmt: skip
def test_a_budget_reads_as_it_was_meant(asked, said):
    assert words.budget_words(asked) == said


def score(name, accuracy, spread=None, examples=15):
    return {"name": name, "examples": examples, "accuracy": {"all": accuracy}, "spread": spread}


def test_whoever_wins_is_named():
    spread = {"accuracy": {"all": 0.05}}
    text = words.outcome(
        [score("BRIEF", 0.40, spread), score("random", 0.42, spread), score("full", 0.9, None, 300)], 15
    )
    assert text.startswith("At 15 examples, random reaches the highest accuracy on all items, 0.020 above BRIEF")
    assert "less than one standard deviation of random over seeds (0.050)" in text
    text = words.outcome([score("BRIEF", 0.40), score("random", 0.30, spread)], 15)
    assert "more than one standard deviation of random over seeds (0.050), and BRIEF is a single run" in text
    assert "each is a single run" in words.outcome([score("BRIEF", 0.4), score("random", 0.3)], 15)
    assert "tie for the highest accuracy" in words.outcome([score("BRIEF", 0.4), score("random", 0.4)], 15)
    assert words.outcome([score("BRIEF", 0.4)], 15) == ""


def test_rows_in_context_are_not_compared_with_trained_ones():
    shown = {"name": "delift, in context", "examples": 15, "accuracy": {"all": 0.9}, "in_context": True}
    other = {**shown, "name": "random, in context", "accuracy": {"all": 0.7}}
    trained = [
        {"name": "delift", "examples": 15, "accuracy": {"all": 0.4}},
        {"name": "random", "examples": 15, "accuracy": {"all": 0.3}},
    ]
    assert words.outcome([*trained, shown, other], 15).startswith("At 15 examples, delift reaches")
    alone = words.outcome([shown, other, {"name": "none", "examples": 0, "accuracy": {"all": 0.1}}], 15)
    assert alone.startswith("At 15 examples, delift, in context reaches")


def test_picks_are_counted_by_the_subtask_that_they_are_most_like():
    coreset = {"indices": [1, 2, 4], "weights": [3.0] * 3, "diagnostics": {"subtasks": {"law": 1, "tax": 2}}}
    said = words.chosen(bare_view(method="less", coreset=coreset))
    assert said.endswith(" By the sub-task of the target that they are most like, these are 2 tax, 1 law.")
    many = {"subtasks": {f"task {place}": 10 - place for place in range(10)}}
    said = words.chosen(bare_view(method="less", coreset={**coreset, "diagnostics": many}))
    assert "these are 10 task 0, " in said and said.endswith("3 task 7 and 3 others.")
    alone = {**coreset, "diagnostics": {"subtasks": {"": 3}}}
    assert "sub-task" not in words.chosen(bare_view(method="less", coreset=alone))
