"""Settings of gradients as methods carry them."""

import pytest

from coresift.errors import SettingsError
from coresift.features.settings import GradientSettings, OneGradient
from coresift.features.specs import GradientSpec


def test_every_setting_reaches_the_spec() -> None:
    passes = {"of": "linear", "layers": "last-3", "dtype": "bfloat16"}
    settings = OneGradient(loss="following", dim=7, norm_power=0.5, sketch_seed=3, **passes)
    spec = GradientSpec(loss="following", dim=7, norm_power=0.5, seed=3, **passes)
    assert OneGradient(preconditioner="adam").gradient.preconditioner == "adam"
    assert settings.gradient == spec and settings.requires == (spec,)


def test_the_default_is_the_fine_tuning_loss_as_it_comes() -> None:
    assert OneGradient().gradient == GradientSpec(loss="response") == OneGradient().gradient.stored


def test_two_ways_to_normalise_at_once_are_refused_when_the_settings_are_made() -> None:
    with pytest.raises(SettingsError, match="unit_norm is set and norm_power is 0.5"):
        GradientSettings(unit_norm=True, norm_power=0.5)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(SettingsError, match="dim"):
        GradientSettings(dim=0)
