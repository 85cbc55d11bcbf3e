"""The formats are told by their columns, and a mapping overrides the names."""

import json
from pathlib import Path

import pytest

from coresift.data import read_pool
from coresift.data.pool import Example
from coresift.errors import DataError

ALPACA = {"instruction": "Add", "input": "1 and 2", "output": "3"}
MESSAGES = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}
SHAREGPT = {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]}


def read(folder: Path, *rows: object, **options: object) -> list[Example]:
    path = folder / "pool.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return list(read_pool(path, **options))  # type: ignore[arg-type]


def turns(example: Example) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in example.messages]


def test_alpaca_puts_a_blank_line_between_instruction_and_input(tmp_path: Path) -> None:
    assert turns(read(tmp_path, ALPACA)[0]) == [("user", "Add\n\n1 and 2"), ("assistant", "3")]


@pytest.mark.parametrize("extra", [{}, {"input": ""}, {"input": "  \n"}, {"input": None}])
def test_alpaca_without_input_is_the_instruction_alone(tmp_path: Path, extra: dict[str, object]) -> None:
    example = read(tmp_path, {"instruction": "Sing", "output": "La", **extra})[0]
    assert turns(example) == [("user", "Sing"), ("assistant", "La")]


def test_alpaca_may_say_response_and_context(tmp_path: Path) -> None:
    example = read(tmp_path, {"instruction": "Who?", "context": "Ann won.", "response": "Ann"})[0]
    assert turns(example) == [("user", "Who?\n\nAnn won."), ("assistant", "Ann")]


def test_alpaca_rows_of_one_file_may_differ_in_optional_columns(tmp_path: Path) -> None:
    examples = read(tmp_path, {"instruction": "Sing", "output": "La"}, {**ALPACA, "system": "Be brief"})
    assert turns(examples[1])[0] == ("system", "Be brief")


def test_messages_keep_every_turn(tmp_path: Path) -> None:
    roles = ["system", "user", "assistant", "user", "assistant"]
    row = {"messages": [{"role": role, "content": f"{role} {i}"} for i, role in enumerate(roles)]}
    assert turns(read(tmp_path, row)[0]) == [(role, f"{role} {i}") for i, role in enumerate(roles)]


@pytest.mark.parametrize("assistant", ["gpt", "assistant", "chatgpt", "model"])
@pytest.mark.parametrize("user", ["human", "user"])
def test_sharegpt_speakers_have_many_names(tmp_path: Path, user: str, assistant: str) -> None:
    row = {"conversations": [{"from": "system", "value": "S"}, {"from": user, "value": "U"}]}
    row["conversations"].append({"from": assistant, "value": "A"})
    assert turns(read(tmp_path, row)[0]) == [("system", "S"), ("user", "U"), ("assistant", "A")]


@pytest.mark.parametrize(("ask", "reply"), [("prompt", "completion"), ("question", "answer")])
def test_pairs_become_two_turns(tmp_path: Path, ask: str, reply: str) -> None:
    assert turns(read(tmp_path, {ask: " Q ", reply: "A\n"})[0]) == [("user", " Q "), ("assistant", "A\n")]


def test_a_blank_system_message_is_no_message(tmp_path: Path) -> None:
    blank = {"messages": [{"role": "system", "content": " "}, *MESSAGES["messages"]]}
    assert turns(read(tmp_path, blank)[0]) == turns(read(tmp_path, MESSAGES)[0])


def test_a_system_column_opens_the_conversation(tmp_path: Path) -> None:
    assert turns(read(tmp_path, {**SHAREGPT, "system": "S"})[0])[0] == ("system", "S")


def test_a_mapping_overrides_the_names(tmp_path: Path) -> None:
    row = {"ask": "Q", "extra": "X", "say": "A", "set": "mine", "key": 7, "messages": "unused"}
    columns = {"instruction": "ask", "input": "extra", "response": "say", "source": "set", "id": "key"}
    example = read(tmp_path, row, columns=columns)[0]
    assert (example.id, example.source, turns(example)) == ("7", "mine", [("user", "Q\n\nX"), ("assistant", "A")])


def test_a_partial_mapping_leaves_the_other_roles_to_the_names(tmp_path: Path) -> None:
    example = read(tmp_path, {"question": "Q", "gold": "A"}, columns={"response": "gold"})[0]
    assert turns(example) == [("user", "Q"), ("assistant", "A")]


@pytest.mark.parametrize("talk", [MESSAGES["messages"], SHAREGPT["conversations"]])
def test_mapped_messages_may_be_of_either_kind(tmp_path: Path, talk: list[dict[str, str]]) -> None:
    example = read(tmp_path, {"talk": talk}, columns={"messages": "talk"})[0]
    assert turns(example) == [("user", "Hi"), ("assistant", "Hello")]


def test_prompt_and_response_can_be_mapped_together(tmp_path: Path) -> None:
    example = read(tmp_path, {"q": "Q", "a": "A"}, columns={"prompt": "q", "response": "a"})[0]
    assert turns(example) == [("user", "Q"), ("assistant", "A")]


def test_an_empty_column_name_switches_a_role_off(tmp_path: Path) -> None:
    example = read(tmp_path, {**ALPACA, "id": "x", "source": "s"}, columns={"id": "", "source": "", "input": ""})[0]
    assert example.id == example.content_key
    assert example.source == ""
    assert turns(example)[0] == ("user", "Add")


def test_a_file_that_fits_two_formats_needs_to_be_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"fit messages and alpaca\. Say which one with the format setting"):
        read(tmp_path, {**ALPACA, **MESSAGES})
    assert turns(read(tmp_path, {**ALPACA, **MESSAGES}, format="alpaca")[0])[0] == ("user", "Add\n\n1 and 2")
    assert turns(read(tmp_path, {**ALPACA, **MESSAGES}, format="messages")[0])[0] == ("user", "Hi")


def test_a_prompt_beside_messages_is_no_second_format(tmp_path: Path) -> None:
    assert turns(read(tmp_path, {**MESSAGES, "prompt": "Hi", "prompt_id": "1"})[0])[0] == ("user", "Hi")


@pytest.mark.parametrize(("column", "value"), [("source", "gsm8k"), ("dataset", "gsm8k")])
def test_the_source_is_kept(tmp_path: Path, column: str, value: str) -> None:
    assert read(tmp_path, {**ALPACA, column: value})[0].source == value


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "chatml"}, r"unknown format 'chatml'\. Known are auto, messages, sharegpt, alpaca"),
        (
            {"columns": {"reply": "output"}},
            r"unknown role 'reply' in the column mapping\. Roles are instruction, prompt",
        ),
        (
            {"columns": {"response": "reply"}},
            r"no column 'reply', to which the role 'response' is mapped\. Columns are 'inst",
        ),
        ({"columns": {"response": ""}}, r"the role 'response' is mapped to no column; only input, history, system, "),
        (
            {"columns": {"messages": "output", "response": "input"}},
            r"messages, response do not go together\. Map messages;",
        ),
        (
            {"columns": {"prompt": "input"}, "format": "alpaca"},
            r"prompt do not go together in the format alpaca\. Map ",
        ),
    ],
)
def test_a_mapping_or_format_that_cannot_be_honoured_raises(
    tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=r"pool\.jsonl: .*" + message):
        read(tmp_path, ALPACA, **options)


def test_unknown_columns_are_listed_with_the_way_to_map_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'text', 'reply' fit no known format \(messages, .*--map prompt=text"):
        read(tmp_path, {"text": "a", "reply": "b"})
