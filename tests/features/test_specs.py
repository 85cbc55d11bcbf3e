"""Equal specs name equal arrays; a rescaled spec is read from the stored one."""

from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from coresift.errors import FeatureError, SettingsError
from coresift.features.base import Features
from coresift.features.memory import InMemoryFeatures
from coresift.features.specs import GradientSpec

RAW = GradientSpec(loss="knowledge", dim=3)
SPECS = st.builds(
    GradientSpec,
    loss=st.sampled_from(["knowledge", "following", "response"]),
    dim=st.sampled_from([16, 8192]),
    preconditioner=st.sampled_from(["none", "adam", "adam-reference"]),
    norm_power=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.sampled_from([0, 1]),
    layers=st.sampled_from(["all", "last-2"]),
    dtype=st.sampled_from(["model", "bfloat16"]),
)


@given(one=SPECS, two=SPECS)
def test_keys_are_equal_exactly_when_specs_are(one: GradientSpec, two: GradientSpec) -> None:
    assert (one.key == two.key) == (one == two) and (hash(one) == hash(two) or one != two)


@given(spec=SPECS)
def test_keys_are_safe_names_of_folders(spec: GradientSpec) -> None:
    assert set(spec.key) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")


@given(spec=SPECS)
def test_a_spec_survives_being_written_and_read(spec: GradientSpec) -> None:
    assert GradientSpec(**spec.model_dump(mode="json")) == spec


@given(spec=SPECS)
def test_what_is_stored_has_its_norms(spec: GradientSpec) -> None:
    assert spec.stored.norm_power == 1.0 and not spec.stored.unit_norm and spec.stored.stored == spec.stored


def test_a_key_reads_well() -> None:
    spec = GradientSpec(loss="following", preconditioner="adam", unit_norm=True)
    assert spec.key.startswith("following-adam-8192-unit-")
    cheap = GradientSpec(loss="response", of="linear", layers="last-2", dtype="bfloat16")
    assert cheap.key.startswith("response-none-8192-linear-last-2-bfloat16-") and cheap.last_layers == 2
    assert GradientSpec(loss="response", of="head").key.startswith("response-none-8192-head-")


@pytest.mark.parametrize(
    ("key", "fields"),
    [
        ("knowledge-none-8192-246e5ba6", {"loss": "knowledge"}),
        ("following-adam-2048-8ab2e4ea", {"loss": "following", "dim": 2048, "preconditioner": "adam"}),
        ("response-none-8192-unit-a6031b7d", {"loss": "response", "unit_norm": True}),
        ("response-none-8192-p0.5-d8f217bc", {"loss": "response", "norm_power": 0.5, "seed": 3}),
    ],
)
def test_keys_never_change(key: str, fields: dict[str, Any]) -> None:
    """Golden: arrays on disk keep their folders when specs gain fields."""
    spec = GradientSpec(**fields)
    assert spec.key == key
    assert set(spec.model_dump()) == {"loss", "dim", "preconditioner", "unit_norm", "norm_power", "seed"}


@pytest.mark.parametrize("fields", [{"of": "head"}, {"of": "linear"}, {"layers": "last-1"}, {"dtype": "bfloat16"}])
def test_a_cheaper_pass_has_a_name_of_its_own(fields: dict[str, str]) -> None:
    spec = GradientSpec(loss="response", **fields)  # type: ignore[arg-type]
    assert spec.key != GradientSpec(loss="response").key
    assert GradientSpec(**spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize("of", ["head", "linear"])
def test_moments_are_those_of_the_adapter(of: Literal["head", "linear"]) -> None:
    with pytest.raises(SettingsError, match=f"preconditioner is 'adam' and of is '{of}'.*Set preconditioner=none"):
        GradientSpec(loss="response", preconditioner="adam", of=of)


def test_the_head_has_no_layers_below_it() -> None:
    with pytest.raises(SettingsError, match="layers is 'last-2' and of is 'head'.*Leave layers out"):
        GradientSpec(loss="response", of="head", layers="last-2")


def test_unit_norm_is_another_name_for_power_zero() -> None:
    unit = GradientSpec(loss="response", unit_norm=True)
    assert (
        unit
        == GradientSpec(loss="response", norm_power=0.0)
        == GradientSpec(loss="response", unit_norm=True, norm_power=0)
    )


def test_unit_norm_and_another_power_are_in_conflict() -> None:
    with pytest.raises(SettingsError, match="unit_norm is set and norm_power is 0.25.*Set one of the two"):
        GradientSpec(loss="response", unit_norm=True, norm_power=0.25)


BAD: list[dict[str, Any]] = [
    *({"dim": 0}, {"norm_power": 1.1}, {"norm_power": -0.1}, {"seed": -1}, {"size": 3}),
    *({"layers": "last-0"}, {"layers": "first-2"}, {"layers": "last-2\n"}, {"of": "body"}, {"dtype": "float16"}),
]


@pytest.mark.parametrize("bad", BAD)
def test_values_out_of_range_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(bad))):
        GradientSpec(loss="response", **bad)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_are_brought_to_their_power(power: float, dtype: torch.dtype) -> None:
    rows = torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1e-20]], dtype=dtype)
    shaped = GradientSpec(loss="response", norm_power=power).transform(rows)
    assert shaped.dtype == dtype and shaped[1].tolist() == [0.0] * 3
    assert shaped.double().norm(dim=1)[[0, 2]].tolist() == pytest.approx([5.0**power, 1e-20**power], rel=1e-6)
    assert torch.allclose(shaped[0] / shaped[0].norm(), rows[0] / 5.0)


def test_a_rescaled_spec_is_computed_from_the_stored_one() -> None:
    rows = torch.tensor([[3.0, 4.0, 0.0]])
    features = InMemoryFeatures({RAW: rows})
    assert isinstance(features, Features) and features.n == 1
    assert features[RAW] is rows
    assert features[GradientSpec(loss="knowledge", dim=3, unit_norm=True)].tolist() == [pytest.approx([0.6, 0.8, 0.0])]


def test_an_array_that_is_not_there_is_named_with_those_that_are() -> None:
    features = InMemoryFeatures({RAW: torch.zeros(2, 3)})
    with pytest.raises(FeatureError, match="no array for response-none-3-.*Held: knowledge-none-3-"):
        features[GradientSpec(loss="response", dim=3)]


def test_arrays_that_do_not_fit_together_are_refused() -> None:
    other = GradientSpec(loss="following", dim=3)
    with pytest.raises(FeatureError, match="no arrays given"):
        InMemoryFeatures({})
    with pytest.raises(FeatureError, match=r"shape \(4,\). An array of features is n x d"):
        InMemoryFeatures({RAW: torch.zeros(4)})
    with pytest.raises(FeatureError, match="arrays of different length"):
        InMemoryFeatures({RAW: torch.zeros(4, 3), other: torch.zeros(5, 3)})


def test_features_held_by_name_are_refused_with_where_specs_come_from() -> None:
    arrays: Any = {"knowledge": torch.zeros(5, 3)}
    with pytest.raises(FeatureError, match=r"by spec, not by 'knowledge'. Take the specs .* Brief\(\).knowledge"):
        InMemoryFeatures(arrays)


@pytest.mark.parametrize("rows", [np.array([["a", "b"]]), np.array([[None]]), [[1.0], "two"]])
def test_features_that_are_not_numbers_are_refused(rows: Any) -> None:
    with pytest.raises(FeatureError, match="not an array of numbers .* Pass an n x d array"):
        InMemoryFeatures({RAW: rows})
