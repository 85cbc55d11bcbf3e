import re

from report_views import full_view

from coresift.report.tables import markdown_table, score_table, seed_count, unequal_steps

SCORES = full_view(n=300, k=15).scores


def test_every_row_of_the_terminal_table_is_shown_and_all_lines_are_equally_wide():
    lines = score_table(SCORES).split("\n")
    assert len({len(line) for line in lines}) == 1
    assert [line.split("  ")[0].strip() for line in lines[2:]] == ["none (base model)", "random", "brief", "full"]


def test_right_edges_of_the_columns_stand_under_each_other():
    lines = score_table(SCORES).split("\n")
    gaps = [m.start() for m in re.finditer("  ", lines[1])]
    assert gaps and all(line[gap : gap + 2] == "  " for line in lines for gap in gaps)


def test_means_come_with_their_spread_and_single_runs_without():
    lines = score_table(SCORES).split("\n")
    assert "0.476 ± 0.014" in lines[4] and "0.861 ± 0.012" in lines[4]
    assert "±" not in lines[5] and "0.837" in lines[5]


def test_a_column_that_nobody_measured_is_left_out_and_a_gap_becomes_a_dash():
    scores = [{**SCORES[1], "accuracy": None}, {**SCORES[2], "accuracy": None, "tokens": None}]
    table = score_table(scores)
    assert "acc." not in table and "–" in table.split("\n")[-1]


def test_no_scores_is_a_sentence():
    assert score_table([]) == markdown_table([]) == "No scores: nothing was trained or evaluated."


def test_markdown_has_the_same_cells_and_names_cannot_break_it():
    lines = markdown_table([{**SCORES[0], "name": "a|b <i>\nc"}, *SCORES[1:]]).split("\n")
    assert lines[2].startswith("| a\\|b &lt;i&gt; c |")
    assert len(lines) == 2 + len(SCORES)
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {10}


def test_seeds_may_be_a_count_or_the_seeds_themselves():
    assert [seed_count({"seeds": s}) for s in (3, [0, 1, 2], None)] == [3, 3, None]


def test_steps_have_a_column_and_the_untuned_model_has_none():
    rows = [{"name": "brief", "examples": 9, "steps": 1200}, {"name": "none (base model)", "examples": 0, "steps": 0}]
    lines = score_table(rows).split("\n")
    assert "steps" in lines[0] and "1,200" in lines[2] and "–" in lines[3]


def test_rows_of_one_size_that_were_trained_for_other_steps_are_pointed_out():
    rows = [
        {"name": "lead", "examples": 14, "steps": 20},
        {"name": "random", "examples": 14, "steps": 2.0},
        {"name": "balanced-random", "examples": 14, "steps": 2.4},
        {"name": "full", "examples": 40, "steps": 50},
        {"name": "none (base model)", "examples": 0, "steps": 0},
    ]
    said = "Steps differ: random was trained for 2, lead (20). Part of a difference may be that."
    assert unequal_steps(rows) == said
    assert unequal_steps([{**row, "label": row["name"]} for row in rows], "label") == said
    assert unequal_steps(rows[:1] + rows[3:]) == "" and unequal_steps([]) == ""
