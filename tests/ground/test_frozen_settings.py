"""Settings are frozen, know their keys and take no number that is not finite."""

import pytest
from pydantic import ValidationError

from coresift.errors import CoresiftError, DataError
from coresift.settings import Settings


class Oven(Settings):
    heat: float = 180.0


def test_equal_values_are_equal_settings() -> None:
    assert Oven(heat=180) == Oven()
    assert len({Oven(), Oven(heat=180), Oven(heat=200)}) == 2


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Oven().heat = 200.0  # type: ignore[misc]


@pytest.mark.parametrize("values", [{"heats": 200}, {"heat": float("nan")}, {"heat": float("inf")}, {"heat": "hot"}])
def test_unknown_keys_and_impossible_values_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Oven(**values)  # type: ignore[arg-type]


def test_every_error_a_user_can_fix_has_one_base() -> None:
    assert issubclass(DataError, CoresiftError)
