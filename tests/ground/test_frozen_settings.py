"""Settings are frozen, know their keys and take no number that is not finite."""

import pytest
from pydantic import ValidationError

from coresift.errors import CoresiftError, DataError, SettingsError
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
    with pytest.raises(SettingsError, match=r"Oven\.heats?: "):
        Oven(**values)  # type: ignore[arg-type]


class Kitchen(Settings):
    oven: Oven | float
    name: str


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"oven": Oven()}, r"Kitchen.name: missing. Pass name=VALUE.\nRun `coresift schema`"),
        ({"oven": Oven(), "nam": "a", "name": "b"}, r"Kitchen.nam: no such setting. Did you mean 'name'\?"),
        (
            {"oven": {"heat": "hot"}, "name": "b"},
            r"Kitchen.oven.Oven.heat: .* number.*, got 'hot'",
        ),
    ],
)
def test_python_calls_are_refused_in_the_words_of_recipes(values: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Kitchen(**values)  # type: ignore[arg-type]


def test_what_is_nested_is_still_pydantics_own() -> None:
    assert Kitchen.model_validate({"oven": 3, "name": "a"}).oven == 3.0, "the other member of the union"
    assert Kitchen(oven={"heat": 3}, name="a").oven == Oven(heat=3)  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        Kitchen.model_validate({"oven": 3})


def test_every_error_a_user_can_fix_has_one_base() -> None:
    assert issubclass(DataError, CoresiftError)
