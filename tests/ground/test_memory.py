"""Amounts of memory as people write them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from coresift.errors import SettingsError
from coresift.memory import SHARE, free_memory, in_words, parse_memory


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("3GB", 3 * 10**9),
        ("512 MiB", 512 * 2**20),
        ("1.5tb", 1_500_000_000_000),
        ("100B", 100),
        ("4.1GB", 4_100_000_000),
        ("auto", None),
    ],
)
def test_amounts_are_read_with_their_unit(text: str, amount: int | None) -> None:
    assert parse_memory(text) == amount


@pytest.mark.parametrize("text", ["3", "GB", "-1GB", "0GB", "0.4B", "3 G B", "lots", ""])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="memory is .*Give an amount with its unit, such as 3GB"):
        parse_memory(text)


def test_amounts_are_said_in_the_largest_unit_that_fits() -> None:
    assert [in_words(amount) for amount in (3.21e9, 5e6, 2e12, 4000)] == ["3.2 GB", "5.0 MB", "2.0 TB", "4 KB"]


@given(st.integers(1, 10**16))
def test_what_is_needed_is_said_as_enough_and_what_there_is_as_no_more(amount: int) -> None:
    enough, there = parse_memory(in_words(amount, math.ceil)), in_words(amount, math.floor)
    digit = max(1000, amount // 10)  # the last one said is worth no more
    assert enough is not None and amount <= enough < amount + digit
    # Below a kilobyte there is "0 KB", which says so and is not an amount that may be given.
    assert there == "0 KB" if amount < 1000 else amount - digit < (parse_memory(there) or 0) <= amount


def test_some_memory_is_free() -> None:
    assert 10**6 < free_memory() < 10**15
    assert 10**6 < free_memory(torch.device("cpu")) < 10**15


def test_the_free_memory_of_a_gpu_is_its_own_and_counts_what_torch_keeps_there(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.device] = []

    def free_and_all(device: torch.device) -> tuple[int, int]:
        asked.append(device)
        return 50 * 10**9, 140 * 10**9

    monkeypatch.setattr("torch.cuda.mem_get_info", free_and_all)
    monkeypatch.setattr("torch.cuda.memory_reserved", lambda device: 30 * 10**9)
    monkeypatch.setattr("torch.cuda.memory_allocated", lambda device: 10 * 10**9)
    assert free_memory(torch.device("cuda", 1)) == int(SHARE * 70 * 10**9)
    assert asked == [torch.device("cuda", 1)]
