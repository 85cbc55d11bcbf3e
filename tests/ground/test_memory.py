"""Amounts of memory as people write them."""

import pytest

from coresift.errors import SettingsError
from coresift.memory import free_memory, in_words, parse_memory


@pytest.mark.parametrize(
    ("text", "amount"),
    [("3GB", 3 * 10**9), ("512 MiB", 512 * 2**20), ("1.5tb", 1_500_000_000_000), ("100B", 100), ("auto", None)],
)
def test_amounts_are_read_with_their_unit(text: str, amount: int | None) -> None:
    assert parse_memory(text) == amount


@pytest.mark.parametrize("text", ["3", "GB", "-1GB", "0GB", "3 G B", "lots", ""])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="memory is .*Give an amount with its unit, such as 3GB"):
        parse_memory(text)


def test_amounts_are_said_in_the_largest_unit_that_fits() -> None:
    assert [in_words(amount) for amount in (3.21e9, 5e6, 2e12, 4000)] == ["3.2 GB", "5.0 MB", "2.0 TB", "4 KB"]


def test_some_memory_is_free() -> None:
    assert 10**6 < free_memory() < 10**15
