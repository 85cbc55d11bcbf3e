"""What a terminal prints of other people's text can neither steer it nor pass for a line of ours."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coresift.terminal import JOINERS, STEERING, lines_shown, say, shown

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("alpaca", "alpaca"),
        ("多言語 ☃ é", "多言語 ☃ é"),
        ("👩\u200d🔬 می\u200cخواهم", "👩\u200d🔬 می\u200cخواهم"),
        ("a\x1b[31mred", "a\\x1b[31mred"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("txt.\u202eexe", "txt.\\u202eexe"),
        ("two\nlines\r\tand\x9b", "two\\nlines\\r\\tand\\x9b"),
        ("a\u2028b\x85c", "a\\u2028b\\x85c"),
        ("half \ud83d", "half \\ud83d"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_letters_stay_and_what_steers_is_escaped(text: str, printed: str) -> None:
    assert shown(text) == printed


@given(ANY_TEXT)
def test_nothing_that_steers_is_left_and_everything_can_be_written(text: str) -> None:
    printed = shown(text)
    assert {unicodedata.category(mark) for mark in set(printed) - JOINERS}.isdisjoint(STEERING)
    assert printed.encode("utf-8").decode("utf-8") == shown(printed), "printing twice changes nothing"


@given(ANY_TEXT, st.integers(1, 20))
def test_long_text_is_cut_where_it_was_asked_to_be(text: str, longest: int) -> None:
    assert shown(text, longest=longest) == shown(text if len(text) <= longest else text[: longest - 1] + "…")


def test_messages_keep_their_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines_shown("first\nsec\x1bond") == "first\nsec\\x1bond"
    say("a\x07\nb")
    assert capsys.readouterr().out == "a\\x07\nb\n"
