"""Every bad record is named with file, position, rule and next step; skipping lists it instead."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from coresift.data import read_pool
from coresift.errors import DataError

GOOD = {"instruction": "Add 1 and 2", "input": "", "output": "3"}
TALK = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}


def user(text: Any = "Hi") -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: Any = "Hello") -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def save(folder: Path, *rows: Any) -> Path:
    path = folder / "pool.json"
    path.write_text(json.dumps(rows))
    return path


ALPACA_FAULTS = [
    ({"instruction": "x", "output": ""}, r"'output' is empty; the response needs text"),
    ({"instruction": "x", "output": " \n\t"}, r"'output' is empty; the response needs text"),
    ({"instruction": "x", "output": None}, r"no 'output' or 'response'; alpaca records need the response"),
    ({"instruction": "x"}, r"no 'output' or 'response'; alpaca records need the response"),
    ({"output": "x"}, r"no 'instruction'; alpaca records need the instruction"),
    ({"instruction": "", "output": "x"}, r"'instruction' is empty; the instruction needs text"),
    ({"instruction": "x", "output": 3}, r"'output' is a number; the response must be text"),
    ({"instruction": "x", "output": ["y"]}, r"'output' is a list; the response must be text"),
    ({"instruction": {"a": 1}, "output": "y"}, r"'instruction' is an object; the instruction must be text"),
    ({"instruction": "x", "input": True, "output": "y"}, r"'input' is true or false; the input must be text"),
    (
        {"instruction": "x", "output": "y", "response": "z"},
        r"both 'output' and 'response' could be the response; map one",
    ),
    ({"instruction": "x", "output": "\ud800"}, r"'output' holds half a character \(\\ud800\); it is no valid text"),
    ({**GOOD, "id": 1.5}, r"'id' is a number; the id must be text or a whole number"),
    ({**GOOD, "id": True}, r"'id' is true or false; the id must be text or a whole number"),
    ({**GOOD, "source": ["a"]}, r"'source' is a list; the source must be text or a whole number"),
    ("text", r"the record is text; it must be an object with named columns"),
    (None, r"the record is null; it must be an object with named columns"),
    ([1], r"the record is a list; it must be an object with named columns"),
    (TALK, r"the columns are those of messages, but the file is alpaca; one file, one format"),
    ({"question": "Q", "answer": "A"}, r"the columns are those of question-answer, but the file is alpaca"),
]

MESSAGE_FAULTS = [
    ("Hi", r"'messages' is text; it must be a list of turns"),
    ([], r"'messages' has no turns; a conversation ends with an answer of the assistant"),
    ([user(), "Hello"], r"turn 2 of 'messages' is text; it must be an object with role and content"),
    ([user(), {"content": "x"}], r"turn 2 of 'messages' names no speaker; it must have role and content"),
    (
        [user(), {"role": "critic", "content": "x"}],
        r"turn 2 of 'messages' has the unknown role 'critic'; known are system, developer, user",
    ),
    ([user(), {"role": 3, "content": "x"}], r"unknown role 3; known are system, developer, user, "),
    (
        [user(), {"from": "narrator", "value": "x"}],
        r"unknown from 'narrator'; known are system, developer, user, human",
    ),
    ([user(), {"role": "assistant"}], r"'content' of turn 2 of 'messages' is null; it must be text"),
    ([user(), assistant(5)], r"'content' of turn 2 of 'messages' is a number; it must be text"),
    ([user(), assistant(" ")], r"message 2 \(assistant\) is empty; the response needs text"),
    ([user(""), assistant()], r"message 1 \(user\) is empty; the prompt needs text"),
    ([user()], r"no assistant turn; there is no response to learn"),
    ([{"role": "system", "content": "S"}], r"no assistant turn; there is no response to learn"),
    ([assistant()], r"message 1 is the assistant's where the user's is due"),
    (
        [user(), {"role": "system", "content": "S"}, assistant()],
        r"message 2 is the system's where the assistant's is due",
    ),
    ([{"role": "system", "content": "S"}, assistant()], r"message 2 is the assistant's where the user's is due"),
    ([user("\udc00"), assistant()], r"turn 1 of 'messages' holds half a character"),
]

CASES = [(GOOD, row, reason) for row, reason in ALPACA_FAULTS]
CASES += [(TALK, {"messages": turns}, reason) for turns, reason in MESSAGE_FAULTS]


@pytest.mark.parametrize(("good", "bad", "reason"), CASES)
def test_a_bad_record_is_named_with_rule_and_next_step(tmp_path: Path, good: Any, bad: Any, reason: str) -> None:
    path = save(tmp_path, good, bad)
    with pytest.raises(
        DataError, match=r"pool\.json, record 2: .*" + reason + r".*Fix the row or pass --skip-bad-rows"
    ):
        read_pool(path)


@pytest.mark.parametrize(("good", "bad", "reason"), CASES)
def test_a_skipped_record_is_listed_with_its_reason(tmp_path: Path, good: Any, bad: Any, reason: str) -> None:
    pool = read_pool(save(tmp_path, good, bad), skip_bad_rows=True)
    assert len(pool) == 1
    (skipped,) = pool.skipped
    assert (skipped.record, skipped.row) == (2, bad)
    assert re.search(reason, skipped.reason)


def test_a_bad_first_record_is_told_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"record 1: no 'output' or 'response'"):
        read_pool(save(tmp_path, {"instruction": "x"}, GOOD))
    with pytest.raises(DataError, match=r"record 1: no 'output' or 'response'"):
        read_pool(save(tmp_path, {"instruction": "x"}))


def test_the_other_faults_are_counted(tmp_path: Path) -> None:
    bad = {"instruction": "x", "output": ""}
    with pytest.raises(
        DataError, match=r"record 1: .*--skip-bad-rows to leave it out\. 2 more of the 4 records have faults"
    ):
        read_pool(save(tmp_path, bad, GOOD, bad, bad))


def test_equal_ids_are_a_fault_of_the_later_record(tmp_path: Path) -> None:
    path = save(tmp_path, {**GOOD, "id": "1"}, {**GOOD, "id": 1, "output": "4"})
    with pytest.raises(DataError, match=r"record 2: the id '1' is already that of record 1; ids must be unique"):
        read_pool(path)
    assert read_pool(path, skip_bad_rows=True).ids == ("1",)
    assert len(read_pool(path, columns={"id": ""})) == 2


def test_skipping_everything_is_an_error_with_the_first_reasons(tmp_path: Path) -> None:
    path = save(tmp_path, *[{"instruction": "x", "output": ""}] * 5)
    with pytest.raises(
        DataError, match=r"all 5 records have faults.*record 1: 'output' is empty.*record 3: .*Fix them, or"
    ):
        read_pool(path, skip_bad_rows=True)


def test_records_that_are_no_objects_are_all_faults(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"record 1: the record is a number; it must be an object.*1 more of the 2"):
        read_pool(save(tmp_path, 1, 2))
