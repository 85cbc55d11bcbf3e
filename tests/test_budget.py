"""Budgets: what may be written, and how many picks it means."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coresift.budget import Budget, separate
from coresift.errors import SelectionError, SettingsError


@pytest.mark.parametrize(
    ("value", "n", "count"),
    [
        (200, 4000, 200),
        ("200", 4000, 200),
        ("1_000", 4000, 1000),
        (np.int64(7), 10, 7),
        (0.05, 4000, 200),
        ("0.05", 4000, 200),
        ("5%", 4000, 200),
        ("5 %", 4000, 200),
        ("2.5%", 1000, 25),
        (".5", 10, 5),
        (1, 10, 1),
        (1.0, 10, 10),
        ("100%", 10, 10),
        (0.001, 10, 1),
        (0.145, 100, 15),  # 14.5 rounds up, although 0.145 * 100 is 14.499999999999998 in floats
        (0.29, 100, 29),
        (0.57, 100, 57),
        (0.05, 90, 5),
        (0.05, 89, 4),
    ],
)
def test_counts_and_fractions_become_picks(value: object, n: int, count: int) -> None:
    assert Budget.parse(value).count(n) == count  # type: ignore[arg-type]


@given(fraction=st.floats(1e-6, 1.0), n=st.integers(1, 10**6))
def test_a_fraction_is_never_nothing_nor_more_than_the_pool(fraction: float, n: int) -> None:
    assert 1 <= Budget.parse(fraction).count(n) <= n
    assert abs(Budget.parse(fraction).count(n) - max(1.0, fraction * n)) <= 0.5 + 1e-6


@pytest.mark.parametrize("text", ["20000 tokens", "20_000 tokens", "20000tokens", " 20000 Tokens "])
def test_tokens_are_read(text: str) -> None:
    assert Budget.parse(text) == Budget("tokens", 20000)
    assert str(Budget.parse(text)) == "20000 tokens"


def test_a_budget_is_its_own_budget() -> None:
    assert Budget.parse(Budget.parse("5%")) == Budget("fraction", 0.05)


def test_tokens_take_the_longest_prefix_that_fits() -> None:
    lengths = np.array([5, 3, 4, 1])
    assert [Budget("tokens", most).fitting(lengths) for most in (5, 7, 8, 12, 13, 99)] == [1, 1, 2, 3, 4, 4]


def test_a_first_pick_that_is_too_long_names_the_budget_that_works() -> None:
    with pytest.raises(SelectionError, match="first pick alone has 5 tokens. Ask for at least 5 tokens"):
        Budget("tokens", 4).fitting(np.array([5, 1]))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (0, "a count is at least 1"),
        (-3, "a count is at least 1"),
        ("0", "a count is at least 1"),
        (0.0, "a fraction is above 0 and at most 1"),
        (1.5, "a fraction is above 0 and at most 1"),
        (float("nan"), "a fraction is above 0 and at most 1"),
        (float("inf"), "a fraction is above 0 and at most 1"),
        ("120%", "a fraction is above 0 and at most 1"),
        ("0 tokens", "a number of tokens is whole and at least 1"),
        ("1.5 tokens", "a number of tokens is whole and at least 1"),
        ("many", "not understood"),
        ("1,000", "not understood. A comma separates budgets: give a list of them"),
        ("", "not understood"),
        ("-5%", "not understood"),
        ("5 pounds", "not understood"),
        (True, "a bool"),
        (None, "a NoneType"),
    ],
)
def test_anything_else_is_refused_with_the_forms_that_work(value: object, why: str) -> None:
    with pytest.raises(SettingsError, match=rf"{why}.*Give a count \(200\), a fraction"):
        Budget.parse(value)  # type: ignore[arg-type]


def test_more_than_the_pool_is_refused() -> None:
    with pytest.raises(SelectionError, match="budget 11: the pool has 10 examples. Ask for at most 10"):
        Budget.parse(11).count(10)


@pytest.mark.parametrize(
    ("written", "budgets"),
    [
        ("50,100", ["50", "100"]),
        ("1%, 5%,0.1", ["1%", "5%", "0.1"]),
        ("0.05,200", ["0.05", "200"]),
        ("5%,200", ["5%", "200"]),
        ("100 tokens, 200 tokens", ["100 tokens", "200 tokens"]),
        (["1,2", 3, "4%"], ["1", "2", 3, "4%"]),
        ("200", "200"),
        (0.05, 0.05),
        ([7], [7]),
    ],
)
def test_commas_separate_budgets(written: object, budgets: object) -> None:
    assert separate(written) == budgets
    for each in budgets if isinstance(budgets, list) else [budgets]:
        Budget.parse(each)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("1,000", "a comma separates budgets, and '000' is none. Write one number without commas"),
        ("1,050,2", "a comma separates budgets, and '050' is none"),
        ("20,500 tokens", "not clear whether 20 counts examples or tokens. .* write 'tokens' behind each"),
        ("5,10%", "not clear whether 5 counts examples or %"),
        (["1,000"], "'000' is none"),
    ],
)
def test_what_may_be_a_thousands_separator_is_refused(written: object, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        separate(written)
