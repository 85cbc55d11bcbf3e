"""How large a coreset may be: a count, a fraction of the pool, or a number of tokens."""

import math
import numbers
import re
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from coresift.errors import SelectionError, SettingsError

FORMS = "Give a count (200), a fraction (0.05 or '5%') or tokens ('20000 tokens')."
NUMBER = re.compile(r"(?P<number>\d[\d_]*(\.\d+)?|\.\d+)\s*(?P<unit>%|tokens?)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Budget:
    """A size that is resolved against a pool; make one with `Budget.parse`."""

    kind: Literal["count", "fraction", "tokens"]
    amount: float

    @classmethod
    def parse(cls, value: "int | float | str | Budget") -> "Budget":
        """Read a budget: whole numbers count, other numbers in (0, 1] are fractions, strings may add % or tokens.

        Raises:
            SettingsError: If the value is none of these, or is not positive.
        """
        if isinstance(value, Budget):
            return value
        if isinstance(value, str):
            return _of_text(value)
        if isinstance(value, numbers.Integral) and not isinstance(value, bool):
            return _count(int(value), value)
        if isinstance(value, numbers.Real) and not isinstance(value, bool):
            return _fraction(float(value), value)
        raise SettingsError(f"budget {value!r}: a {type(value).__name__}. {FORMS}")

    def __str__(self) -> str:
        return {"count": "%d", "fraction": "%g", "tokens": "%d tokens"}[self.kind] % self.amount

    def count(self, n: int) -> int:
        """Number of picks out of `n`; a fraction gives max(1, floor(fraction * n + 1/2)) in exact decimal arithmetic.

        Raises:
            SelectionError: If a count is larger than the pool.
        """
        if self.kind == "fraction":
            return max(1, math.floor(Decimal(str(self.amount)) * n + Decimal("0.5")))
        if self.amount > n:
            raise SelectionError(f"budget {self}: the pool has {n} examples. Ask for at most {n}.")
        return int(self.amount)

    def fitting(self, tokens: np.ndarray) -> int:
        """How many of the first picks, whose lengths are `tokens`, stay within this number of tokens.

        Raises:
            SelectionError: If not even the first pick does.
        """
        size = int(np.searchsorted(np.cumsum(tokens), self.amount, side="right"))
        if size == 0:
            raise SelectionError(
                f"budget {self}: the first pick alone has {int(tokens[0])} tokens. "
                f"Ask for at least {int(tokens[0])} tokens."
            )
        return size


def separate(value: Any) -> Any:
    """Text with commas as the list of budgets it names; anything else, and text without commas, as it is.

    A comma never separates thousands: `50,100` is two budgets.

    >>> separate("50,100"), separate(["200", "5%, 10%"]), separate("20000 tokens")
    (['50', '100'], ['200', '5%', '10%'], '20000 tokens')

    Raises:
        SettingsError: If a part reads like the rest of a number with thousands separators (`20,000`), or it is not
            clear what a part counts (`20,500 tokens`).
    """
    if isinstance(value, list | tuple):
        return [part for each in value for part in _parts(each)]
    parts = _parts(value)
    return parts if len(parts) > 1 else value


def _parts(value: Any) -> list[Any]:
    if not isinstance(value, str) or "," not in value:
        return [value]
    parts = [part.strip() for part in value.split(",")]
    for part, after in pairwise([*parts, ""]):
        if re.match(r"0\d", part):
            raise SettingsError(
                f"budget {value!r}: a comma separates budgets, and {part!r} is none. Write one number without commas."
            )
        unit = after.lstrip("0123456789_. ")
        if re.fullmatch(r"[\d_]+", part) and unit != "":
            raise SettingsError(
                f"budget {value!r}: it is not clear whether {part} counts examples or {unit}. A comma separates "
                f"budgets: write {unit!r} behind each, pass --budget once for each, or write one number without commas."
            )
    return parts


def _of_text(text: str) -> Budget:
    match = NUMBER.fullmatch(text.strip())
    if match is None:
        several = " A comma separates budgets: give a list of them." if "," in text else ""
        raise SettingsError(f"budget {text!r} is not understood.{several} {FORMS}")
    number, unit = Decimal(match["number"].replace("_", "")), (match["unit"] or "").lower()
    if unit == "%":
        return _fraction(float(number / 100), text)
    whole = number == number.to_integral_value() and "." not in match["number"]
    if not unit:
        return _count(int(number), text) if whole else _fraction(float(number), text)
    if not whole or number < 1:
        raise SettingsError(f"budget {text!r}: a number of tokens is whole and at least 1. {FORMS}")
    return Budget("tokens", int(number))


def _count(amount: int, value: object) -> Budget:
    if amount < 1:
        raise SettingsError(f"budget {value!r}: a count is at least 1. {FORMS}")
    return Budget("count", amount)


def _fraction(amount: float, value: object) -> Budget:
    if not 0.0 < amount <= 1.0:
        raise SettingsError(f"budget {value!r}: a fraction is above 0 and at most 1. {FORMS}")
    return Budget("fraction", amount)
