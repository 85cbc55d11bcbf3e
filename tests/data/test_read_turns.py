"""Turns are read with everything that matters for training: who speaks, what is learned, thoughts, calls and tools."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coresift.data import Example, Message, Pool, read_pool
from coresift.data.pool import ToolCall
from coresift.errors import DataError

ASK, REPLY = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}
CALL = {"name": "tide", "arguments": '{"port": "A"}'}
TOOL = {"name": "tide", "description": "When it is high", "parameters": {"type": "object", "properties": {}}}


def read(folder: Path, *turns: Any, strict: bool = False, **columns: Any) -> Pool:
    path = folder / "pool.json"
    path.write_text(json.dumps([{"messages": turns, **columns}]))
    return read_pool(path, strict=strict)


def talk(pool: Pool) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in pool[0].messages]


@pytest.mark.parametrize("field", ["weight", "train", "loss", "loss_weight"])
@pytest.mark.parametrize("no", [0, 0.0, False])
def test_a_turn_that_is_not_to_be_learned_is_context(tmp_path: Path, field: str, no: Any) -> None:
    pool = read(tmp_path, ASK, {**REPLY, field: no}, ASK, {**REPLY, field: not no})
    assert [message.learn for message in pool[0].messages] == [True, False, True, True]
    assert pool.notes.unread == {}
    assert pool.notes.sentences == ("kept as context turns of the assistant that are not to be learned (1 row)",)


def test_context_and_response_are_different_examples(tmp_path: Path) -> None:
    learned = read(tmp_path, ASK, {**REPLY, "weight": 1}, ASK, REPLY)[0].content_key
    assert learned == read(tmp_path, ASK, REPLY, ASK, REPLY)[0].content_key
    assert learned != read(tmp_path, ASK, {**REPLY, "weight": 0}, ASK, REPLY)[0].content_key


@pytest.mark.parametrize("value", [0.5, -1, 2, "0"])
def test_a_weight_between_is_refused_by_name(tmp_path: Path, value: Any) -> None:
    with pytest.raises(DataError, match=r"record 1: turn 2 of 'messages' has the weight .*; a turn is learned"):
        read(tmp_path, ASK, {**REPLY, "weight": value})


def test_a_conversation_of_context_alone_has_nothing_to_learn(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"record 1: no turn of the assistant is to be learned; all of them"):
        read(tmp_path, ASK, {**REPLY, "weight": 0})


def test_the_weight_of_a_turn_of_the_user_says_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, {**ASK, "weight": 0, "train": False}, REPLY).notes.sentences == ()


@pytest.mark.parametrize("field", ["reasoning_content", "thinking", "reasoning"])
def test_a_thought_is_kept_apart_from_the_answer(tmp_path: Path, field: str) -> None:
    pool = read(tmp_path, ASK, {**REPLY, field: "Greet."})
    assert pool[0].messages[1] == Message("assistant", "Hello", reasoning="Greet.")


def test_a_thought_as_a_part_of_the_content_is_a_thought(tmp_path: Path) -> None:
    parts = [{"type": "thinking", "thinking": "Greet."}, {"type": "text", "text": "Hello"}]
    assert read(tmp_path, ASK, {"role": "assistant", "content": parts})[0].messages[1].reasoning == "Greet."


def test_a_thought_in_the_text_stays_in_the_text(tmp_path: Path) -> None:
    pool = read(tmp_path, ASK, {"role": "assistant", "content": "<think>\nGreet.\n</think>\n\nHello"})
    assert pool[0].messages[1] == Message("assistant", "<think>\nGreet.\n</think>\n\nHello")


def test_two_thoughts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"turn 2 of 'messages' has several thoughts, in reasoning_content and"):
        read(tmp_path, ASK, {**REPLY, "reasoning_content": "a", "thinking": "b"})
    with pytest.raises(DataError, match=r"turn 2 .* has its thought twice, in 'thinking' and as <think> text"):
        read(tmp_path, ASK, {"role": "assistant", "content": "<think>a</think>b", "thinking": "a"})


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "assistant", "content": "", "tool_calls": [{"id": "c1", "type": "function", "function": CALL}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "function": CALL}]},
        {"role": "assistant", "content": "", "tool_calls": json.dumps([{**CALL, "id": "c1"}])},
        {"role": "assistant", "tool_calls": [{"id": "c1", "name": "tide", "arguments": {"port": "A", "day": None}}]},
    ],
)
def test_a_call_is_part_of_the_response_and_its_answer_is_context(tmp_path: Path, turn: dict[str, Any]) -> None:
    answer = {"role": "tool", "content": "noon", "tool_call_id": "c1", "name": "tide"}
    messages = read(tmp_path, ASK, turn, answer, REPLY)[0].messages
    assert messages[1] == Message("assistant", "", tool_calls=(ToolCall("tide", '{"port": "A"}', "c1"),))
    assert messages[2] == Message("tool", "noon", name="tide", call_id="c1")
    assert messages[3] == Message("assistant", "Hello")


def test_an_old_call_and_its_answer_are_read(tmp_path: Path) -> None:
    call = {"role": "assistant", "content": None, "function_call": CALL}
    pool = read(tmp_path, ASK, call, {"role": "function", "name": "tide", "content": "noon"}, REPLY)
    assert pool[0].messages[1].tool_calls == (ToolCall("tide", '{"port": "A"}'),)
    assert pool[0].messages[2] == Message("tool", "noon", name="tide")


def test_calls_as_turns_of_their_own_are_read(tmp_path: Path) -> None:
    turns = [
        {"from": "human", "value": "When is high tide?"},
        {"from": "gpt", "value": "Let me look."},
        {"from": "function_call", "value": json.dumps(CALL)},
        {"from": "observation", "value": "noon"},
        {"from": "gpt", "value": "At noon."},
    ]
    messages = read(tmp_path, *turns)[0].messages
    assert [message.role for message in messages] == ["user", "assistant", "tool", "assistant"]
    assert messages[1] == Message("assistant", "Let me look.", tool_calls=(ToolCall("tide", '{"port": "A"}'),))


def test_the_answer_of_a_tool_may_be_an_object(tmp_path: Path) -> None:
    turns = ASK, {**REPLY, "tool_calls": [CALL]}, {"role": "tool", "content": {"high": "noon"}}, REPLY
    assert read(tmp_path, *turns)[0].messages[2].content == '{"high": "noon"}'


@pytest.mark.parametrize("tools", [[TOOL], [{"type": "function", "function": TOOL}], json.dumps([TOOL])])
@pytest.mark.parametrize("column", ["tools", "functions"])
def test_tools_of_every_shape_are_the_same_list(tmp_path: Path, column: str, tools: Any) -> None:
    pool = read(tmp_path, ASK, REPLY, **{column: tools})
    assert json.loads(pool[0].tools) == [{"type": "function", "function": TOOL}]
    assert pool.notes.unread == {}


@pytest.mark.parametrize("tools", [[], "", None, "[]"])
def test_no_tools_are_none(tmp_path: Path, tools: Any) -> None:
    assert read(tmp_path, ASK, REPLY, tools=tools)[0].tools == ""


@pytest.mark.parametrize(
    ("turns", "columns", "message"),
    [
        ([ASK, REPLY], {"tools": "look it up"}, r"'tools' is text, but not JSON \(Expecting value"),
        ([ASK, REPLY], {"tools": {"name": "tide"}}, r"'tools' is an object; it must be a list of tools"),
        ([ASK, {**REPLY, "tool_calls": [{"id": "c"}]}], {}, r"'tool_calls' of turn 2 .* that is no call of a tool"),
        ([ASK, {**REPLY, "tool_calls": 3}], {}, r"'tool_calls' of turn 2 of 'messages' holds a number that is no call"),
        (
            [ASK, {**REPLY, "tool_calls": [{"name": "f", "arguments": "[1]"}]}],
            {},
            r"the arguments of 'tool_calls' of turn 2 of 'messages' \(f\) are a list; they must be an object",
        ),
        ([ASK, {"role": "tool", "content": "noon"}, REPLY], {}, r"message 2 is a tool's, but no turn of the assistant"),
        ([ASK, {"from": "function_call", "value": "tide?"}], {}, r"'value' of turn 2 .* is text, but not JSON"),
    ],
)
def test_tools_that_cannot_be_read_are_refused(
    tmp_path: Path, turns: list[Any], columns: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=r"record 1: .*" + message):
        read(tmp_path, *turns, **columns)


def test_what_nobody_reads_is_counted_by_name(tmp_path: Path) -> None:
    turns = [{**ASK, "name": "Ann"}, {**REPLY, "refusal": None, "annotations": ["x"], "score": 3}]
    pool = read(tmp_path, *turns, id=1, source="s", category="c", empty="", none=None, nothing=[], day=float("nan"))
    unread = ["category", "messages[].annotations", "messages[].name", "messages[].score"]
    assert pool.notes.unread == dict.fromkeys(unread, 1)
    assert pool.notes.sentences[0].startswith("not read: category (1 row), messages[].annotations (1 row), ")
    assert pool.take([0]).notes == pool.notes


YOU, END = {**ASK, "content": "You"}, {**REPLY, "content": "!"}
CHANGED = [
    ([ASK, REPLY, ASK], [ASK, REPLY], r"left out", r"the last turn is the user's"),
    ([REPLY, ASK, REPLY], [REPLY, ASK, REPLY], r"opening", r"message 1 is the assistant's"),
    ([ASK, YOU, REPLY], [{**ASK, "content": "Hi\n\nYou"}, REPLY], r"joined", r"message 2 is the user's where the"),
    ([ASK, REPLY, END], [ASK, {**REPLY, "content": "Hello\n\n!"}], r"joined", r"message 3 is the assistant's where"),
]


@pytest.mark.parametrize(("turns", "kept", "said", "fault"), CHANGED)
def test_a_usual_irregularity_is_mended_and_counted_or_refused(
    tmp_path: Path, turns: list[Any], kept: list[Any], said: str, fault: str
) -> None:
    pool = read(tmp_path, *turns)
    assert talk(pool) == [(turn["role"], turn["content"]) for turn in kept]
    (sentence,) = pool.notes.sentences
    assert said in sentence and sentence.endswith(" (1 row)")
    with pytest.raises(DataError, match=r"record 1: " + fault):
        read(tmp_path, *turns, strict=True)


def test_an_opening_of_the_assistant_is_not_learned(tmp_path: Path) -> None:
    assert [message.learn for message in read(tmp_path, REPLY, ASK, REPLY)[0].messages] == [False, True, True]


def test_equal_system_messages_are_one_and_others_are_joined(tmp_path: Path) -> None:
    system = {"role": "system", "content": "Be brief"}
    assert talk(read(tmp_path, system, ASK, REPLY, system="Be brief"))[0] == ("system", "Be brief")
    pool = read(tmp_path, system, ASK, REPLY, system="Be kind")
    assert talk(pool)[0] == ("system", "Be kind\n\nBe brief")
    assert "by a blank line" in pool.notes.sentences[0]


@pytest.mark.parametrize(
    "second", [{**REPLY, "weight": 0}, {**REPLY, "thinking": "Hm"}, {**REPLY, "role": "assistant", "loss": False}]
)
def test_turns_that_differ_in_more_than_text_are_not_joined(tmp_path: Path, second: Any) -> None:
    with pytest.raises(DataError, match=r"messages 2 and 3 are both the assistant's and cannot be joined"):
        read(tmp_path, ASK, REPLY, second)


CHARACTERS = st.characters(exclude_categories=["Cs"])
TEXT = st.text(CHARACTERS, min_size=1, max_size=8).filter(lambda text: text.strip() != "")
CALL_OF = st.builds(
    ToolCall, st.sampled_from(["tide", "sum"]), st.sampled_from(["{}", '{"a": 1}']), st.sampled_from(["", "c1"])
)
CALLS = st.lists(CALL_OF, max_size=2)
ANSWERS = st.builds(
    Message, st.just("assistant"), TEXT, st.booleans(), TEXT.filter(lambda t: "<" not in t), CALLS.map(tuple)
)


@given(st.lists(st.tuples(TEXT, ANSWERS), max_size=3), st.sampled_from(["", '[{"type": "function", "function": {}}]']))
def test_a_pool_made_in_code_is_read_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[tuple[str, Message]], tools: str
) -> None:
    turns = [message for ask, answer in rounds for message in (Message("user", ask), answer)]
    turns += [Message("user", "x"), Message("assistant", "y")]
    made = Pool([Example(id="one", messages=tuple(turns), tools=tools, source="s")])
    path = tmp_path_factory.mktemp("pool") / "pool.json"
    path.write_text(json.dumps([dict(made.row(0))]))
    assert read_pool(path)[0] == made[0]
