"""Every kind of row that people have, from a small file in kinds/: read as its owner means it, refused, or counted."""

import json
from pathlib import Path

import pytest

from coresift.data import Example, Message, Pool, read_pool, write_coreset
from coresift.data.pool import ToolCall
from coresift.errors import DataError

KINDS = Path(__file__).resolve().parent / "kinds"
LAKE = [("user", "Name a lake."), ("assistant", "Como.")]
TOWN = [("user", "Name a town."), ("assistant", "Dresden.")]
SHORT = ("system", "Be short.")
TOOL = {"name": "tide", "description": "High tide of a port."}


def read(name: str, **options: object) -> Pool:
    return read_pool(KINDS / name, **options)  # type: ignore[arg-type]


def talk(example: Example) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in example.messages]


def talks(name: str, **options: object) -> list[list[tuple[str, str]]]:
    return [talk(example) for example in read(name, **options)]


def learned(example: Example) -> list[str]:
    return [message.content for message in example.messages if message.role == "assistant" and message.learn]


def test_history_becomes_rounds_before_the_turn() -> None:
    bird, plane, tree = talks("alpaca_history.jsonl")
    end = [("user", "And how many wings has it?"), ("assistant", "Two.")]
    assert bird == [("user", "Name a bird."), ("assistant", "A heron."), *end]
    assert plane == [("user", "Name a plane."), ("assistant", "A biplane."), *end]
    assert tree == [("user", "Name a tree."), ("assistant", "Birch.")]
    assert read("alpaca_history.jsonl").duplicates == ()


def test_instruction_and_input_are_joined_as_the_trainer_joins_them() -> None:
    assert talks("alpaca_input_alone.jsonl")[0][0] == ("user", "Translate: pont")
    assert talks("alpaca_input_alone.jsonl")[1][0] == ("user", "Translate\n\nmur")
    assert talks("alpaca_input_alone.jsonl", join="newline")[1][0] == ("user", "Translate\nmur")


def test_a_system_prompt_stands_beside_every_format() -> None:
    assert talks("system_prompt.jsonl") == [[SHORT, ("user", "Name a tree."), ("assistant", "Birch")]]


def test_the_context_of_a_question_is_part_of_the_prompt() -> None:
    first, second = talks("question_context.jsonl")
    assert first[0] == ("user", "How many boats are there?\n\nCREATE TABLE boats (id INT)")
    assert second[0] == ("user", "How many boats are there?\n\nCREATE TABLE ships (kind TEXT)")


def test_query_and_response_are_read_with_their_history() -> None:
    rounds, single = talks("query_response.jsonl")
    assert rounds == [SHORT, *TOWN, ("user", "And the river?"), ("assistant", "The Elbe.")]
    assert single == LAKE


def test_question_and_response_are_read_with_their_system_prompt() -> None:
    pool = read("question_response.jsonl")
    assert [talk(example) for example in pool] == [[SHORT, *LAKE], TOWN]
    assert pool.ids == ("q.1", "q.2")


def test_pairs_of_a_conversation_are_two_turns_each() -> None:
    first, second = talks("conversation_pairs.jsonl")
    assert first == [SHORT, *TOWN, ("user", "And its river?"), ("assistant", "The Elbe.")]
    assert second == [SHORT, *LAKE]


def test_of_prompt_and_completion_as_turns_only_the_completion_is_learned() -> None:
    (example,) = read("prompt_completion_turns.jsonl")
    assert talk(example) == [*TOWN, ("user", "And its river?"), ("assistant", "The Elbe.")]
    assert learned(example) == ["The Elbe."]


def test_messages_may_be_json_text_in_a_column() -> None:
    assert talks("messages_as_text.csv") == [LAKE]


def test_parts_of_text_are_put_together() -> None:
    assert talks("content_parts.jsonl") == [LAKE]


def test_records_may_be_inside_an_object() -> None:
    assert talks("data_on_top.json") == [LAKE, TOWN]


def test_what_is_not_a_number_is_missing() -> None:
    assert talks("nan_as_missing.json") == [LAKE, [("user", "Translate\n\nmur"), ("assistant", "wall")]]
    assert read("nan_as_missing.json").notes.sentences == ()


def test_a_list_per_line_is_a_conversation(tmp_path: Path) -> None:
    assert talks("list_per_line.jsonl") == [LAKE, TOWN]
    renamed = tmp_path / "pool.json"
    renamed.write_bytes((KINDS / "list_per_line.jsonl").read_bytes())
    assert read_pool(renamed).fingerprint == read("list_per_line.jsonl").fingerprint
    renamed.write_text(json.dumps([json.loads(line) for line in (KINDS / "list_per_line.jsonl").open()]))
    assert read_pool(renamed).fingerprint == read("list_per_line.jsonl").fingerprint


def test_turns_may_be_an_object_of_lists() -> None:
    assert talks("turns_as_columns.json") == [LAKE]


def test_speakers_have_many_names() -> None:
    assert talks("speakers.jsonl") == [[SHORT, *LAKE], TOWN]


def test_turns_with_a_weight_of_zero_are_context() -> None:
    pool = read("weights.jsonl")
    assert [learned(example) for example in pool] == [["No: 4"]] * 4
    assert len({example.content_key for example in pool}) == 1
    assert pool.notes.sentences == ("kept as context turns of the assistant that are not to be learned (4 rows)",)


@pytest.mark.parametrize(
    ("name", "said", "id"), [("tools.jsonl", "Let me look.", "c1"), ("tools_sharegpt.jsonl", "", "")]
)
def test_tools_calls_and_answers_are_read(name: str, said: str, id: str) -> None:
    pool = read(name)
    call = ToolCall("tide", '{"port": "A"}', id)
    assert pool[0].messages[1:] == (
        Message("assistant", said, tool_calls=(call,)),
        Message("tool", "12:10", call_id=id),
        Message("assistant", "At ten past twelve."),
    )
    (tool,) = json.loads(pool[0].tools)
    assert tool["type"] == "function" and TOOL.items() <= tool["function"].items()
    assert pool.notes.sentences == ()


def test_thoughts_are_read_and_text_stays_text() -> None:
    turns = [example.messages[1] for example in read("thoughts.jsonl")]
    assert turns[0] == Message("assistant", "Four", reasoning="Add them.")
    assert turns[1] == Message("assistant", "Five", reasoning="Add them.")
    assert turns[2] == Message("assistant", "<think>\nAdd them.\n</think>\n\nSix")


def test_a_last_turn_of_the_user_is_left_out_and_counted() -> None:
    pool = read("ends_with_user.jsonl")
    assert talk(pool[0]) == LAKE
    assert pool.notes.changes == {"left out what comes after the assistant's last turn": 1}
    with pytest.raises(DataError, match=r"line 1: the last turn is the user's; it must be the assistant's"):
        read("ends_with_user.jsonl", strict=True)


def test_an_opening_of_the_assistant_is_context_and_counted() -> None:
    pool = read("begins_with_assistant.jsonl")
    assert talk(pool[0]) == [("assistant", "How can I help?"), *LAKE]
    assert learned(pool[0]) == ["Como."]
    assert pool.notes.changes == {"kept as context an opening of the assistant": 1}
    with pytest.raises(DataError, match=r"line 1: message 1 is the assistant's where the user's is due"):
        read("begins_with_assistant.jsonl", strict=True)


def test_turns_of_one_speaker_are_joined_and_counted() -> None:
    pool = read("same_speaker.jsonl")
    assert talk(pool[0]) == [("user", "Hello.\n\nName a lake."), LAKE[1]]
    assert pool.notes.changes == {"joined turns of one speaker in a row by a blank line": 1}
    with pytest.raises(DataError, match=r"line 1: message 2 is the user's where the assistant's is due"):
        read("same_speaker.jsonl", strict=True)


def test_a_response_that_is_marked_as_bad_is_no_example() -> None:
    with pytest.raises(DataError, match=r"line 1: 'label' is false: the response is marked as bad, no example"):
        read("denied.jsonl")
    pool = read("denied.jsonl", skip_bad_rows=True)
    assert [talk(example)[1][1] for example in pool] == ["Birch."]
    assert (len(pool.skipped), pool.notes.sentences) == (1, ())
    assert len(read("denied.jsonl", columns={"label": ""})) == 2


def test_a_label_that_is_no_verdict_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "pool.json"
    path.write_text(json.dumps([{"prompt": "Name a tree.", "completion": "Birch.", "label": 3}]))
    assert read_pool(path).notes.unread == {"label": 1}


def test_preferences_are_no_examples_until_a_response_is_named() -> None:
    with pytest.raises(
        DataError, match=r"line 1: the row has a chosen and a rejected response.* --map response=chosen"
    ):
        read("preferences.jsonl")
    pool = read("preferences.jsonl", columns={"response": "chosen"})
    assert talk(pool[1]) == LAKE
    assert pool.notes.sentences == ("not read: rejected (2 rows)",)


def test_a_preferred_answer_to_the_last_turn_is_not_overlooked() -> None:
    with pytest.raises(DataError, match=r"line 1: the row has a chosen and a rejected response"):
        read("preferences_turns.jsonl")


def test_rows_with_pictures_are_refused_counted_and_can_be_skipped() -> None:
    with pytest.raises(
        DataError, match=r"line 1: the row has 'images'; only text can be read.* 1 more of the 3 records"
    ):
        read("images.jsonl")
    pool = read("images.jsonl", skip_bad_rows=True)
    assert [talk(example)[1][1] for example in pool] == ["Ben."]
    assert pool.skipped[1].reason.startswith("turn 1 of 'messages' has a part of the type 'image'; only parts that are")
    assert read("images.jsonl", columns={"media": ""}, skip_bad_rows=True).notes.unread == {"images": 1}


def test_tabs_may_separate_fields() -> None:
    assert talks("pool.tsv") == [
        [("user", "Name a lake."), ("assistant", "Como, in Italy")],
        [("user", "a\ttab"), ("assistant", "two\nlines")],
    ]


def test_the_index_that_pandas_writes_is_a_column_like_others() -> None:
    pool = read("pandas_index.csv")
    assert [talk(example) for example in pool] == [LAKE, TOWN]
    assert pool.notes.unread == {"Unnamed: 0": 2}


def test_an_id_with_decimals_is_refused_with_the_way_out() -> None:
    with pytest.raises(
        DataError, match=r"record 1: 'id' is a number; the id must be text or a whole number \(--map id= t"
    ):
        read("pandas_ids.json")
    assert len(read("pandas_ids.json", columns={"id": ""})) == 2


def test_a_source_that_is_an_object_is_refused_with_the_way_out() -> None:
    with pytest.raises(DataError, match=r"record 1: 'source' is an object; .* \(--map source= leaves it out\)"):
        read("sources_as_objects.json")
    assert len(read("sources_as_objects.json", columns={"source": ""})) == 2


def test_rows_that_fail_alike_are_a_matter_of_the_format() -> None:
    with pytest.raises(
        DataError,
        match=r"line 1: no .output. or .response.; .* 1 more of the 2 records fail in the same way, so it is the "
        r"format and not the row\. The columns are 'instruction' \(text\), 'instances' \(a list\)\. Fix them, or name",
    ):
        read("nested_instances.jsonl")
    with pytest.raises(
        DataError, match=r"all 2 records have faults, .* They fail in the same way, so it is the format"
    ):
        read("nested_instances.jsonl", skip_bad_rows=True)


def test_unknown_columns_come_with_the_mapping_that_fits() -> None:
    with pytest.raises(
        DataError, match=r"'Question', 'best_answer' fit no .* --map prompt=Question --map response=best_a"
    ):
        read("other_columns.jsonl")
    assert talks("other_columns.jsonl", columns={"prompt": "Question", "response": "best_answer"}) == [LAKE, TOWN]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"text": "Q: a A: b"},
            r"'text' fit no known .* --map role=column, one of turns \(messages\), or one of prompts",
        ),
        ({"messages": None}, r"no 'messages'; messages records need the messages"),
        ({"query": "q", "answers": "a"}, r"--map prompt=query --map response=answers"),
        ({"talk": [{"from": "human", "value": "q"}]}, r"--map messages=talk"),
        (
            {"question": "q", "passage": "p", "solution": "s"},
            r"--map instruction=question --map response=solution --map in",
        ),
        (
            {"question": "q", "context": {"a": 1}, "answer": "a"},
            r"'context' is an object; .* \(--map input= leaves it out",
        ),
        ({"messages": "[{'role': 'user'}]"}, r"'messages' is text, but not JSON \(.*\); json\.dumps writes it"),
    ],
)
def test_the_advice_fits_the_columns(row: dict[str, object], message: str, tmp_path: Path) -> None:
    path = tmp_path / "pool.jsonl"
    path.write_text(f"{json.dumps(row)}\n" * 3)
    with pytest.raises(DataError, match=message):
        read_pool(path)


def test_columns_that_nobody_reads_are_counted() -> None:
    assert read("unread.jsonl").notes.sentences == ("not read: rating (2 rows), category (1 row)",)


READABLE = sorted(
    path.name for path in KINDS.iterdir() if not path.name.startswith(("pref", "nested", "other", "pandas_ids", "sour"))
)


@pytest.mark.parametrize("name", READABLE)
def test_a_coreset_of_every_kind_is_a_pool_of_the_same_examples(name: str, tmp_path: Path) -> None:
    pool = read(name, skip_bad_rows=True)
    path = tmp_path / "coreset.jsonl"
    write_coreset(path, pool, range(len(pool)), [1.0] * len(pool))
    again = read_pool(path)
    assert [example.messages for example in again] == [example.messages for example in pool]
    assert (again.ids, again.fingerprint) == (pool.ids, pool.fingerprint)
    added = {"coresift_id", "coresift_weight"}
    assert set(again.row(0)) - added == set(pool.row(0))
