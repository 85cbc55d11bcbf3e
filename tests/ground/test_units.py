"""Numbers read as people write them."""

import pytest

from coresift.units import count, duration, number, percent, percent_up, prefixed, signed


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0 s"), (0.42, "0.42 s"), (3.14, "3.1 s"), (59.6, "1 min 0 s"), (75, "1 min 15 s"), (3700, "1 h 1 min"),
     (200_000, "2 d 7 h"), (None, "–"), (float("nan"), "–")],
)  # fmt: skip
def test_seconds_read_as_people_say_them(value: float | None, shown: str) -> None:
    assert duration(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0 FLOP"), (950, "950 FLOP"), (3.4e12, "3.40 TFLOP"), (1.2365e20, "124 EFLOP"), (999_600, "1.00 MFLOP"),
     (None, "–")],
)  # fmt: skip
def test_large_counts_get_a_prefix(value: float | None, shown: str) -> None:
    assert prefixed(value, "FLOP") == shown


def test_tokens_have_three_digits_throughout() -> None:
    assert [prefixed(v) for v in (12, 41_800, 43_000, 845_000, 2_000_000)] == [
        "12",
        "41.8 k",
        "43.0 k",
        "845 k",
        "2.00 M",
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (1.0, "1"), (0.61803, "0.6180"), (12345.6, "12,346"), (525.0, "525"), (1e12, "1.000e+12"),
     (3e-7, "3.000e-07"), (-0.25, "-0.2500"), (None, "–")],
)  # fmt: skip
def test_numbers_keep_about_four_digits(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_upper_claims_round_up_and_plain_shares_round_to_nearest() -> None:
    assert (percent_up(0.08224), percent_up(0.083), percent(0.08224)) == ("8.3 %", "8.3 %", "8.2 %")


def test_counts_have_thousands_and_minus_is_a_minus() -> None:
    assert (count(4000), count(None), signed(-0.4884), signed(None)) == ("4,000", "–", "−0.488", "–")
