"""Specs of utilities and embeddings: equal specs share an array, and the diagonal is changed on reading only."""

import pytest
import torch

from coresift.errors import SettingsError
from coresift.features.memory import InMemoryFeatures
from coresift.features.utilities import EmbeddingSpec, SimilaritySpec, UtilitySpec, csr

KERNEL = torch.tensor([[0.5, 0.1, -0.2], [0.2, 0.05, -0.3], [0.0, 0.3, 0.4]])


def test_keys_are_readable_and_tell_specs_apart() -> None:
    assert UtilitySpec().key.startswith("utility-pool-l2-chat-")
    assert UtilitySpec(rows=200, metric="pmi").key.startswith("utility-pool-pmi-chat-rows200-")
    assert UtilitySpec(candidates=64, template="delift").key.startswith("utility-pool-l2-delift-candidates64-")
    assert UtilitySpec(self_="cap").key.startswith("utility-pool-l2-chat-self-cap-")
    assert EmbeddingSpec(text="prompt").key.startswith("embedding-prompt-")
    assert SimilaritySpec(part="existing").key.startswith("similarity-existing-")
    assert len({UtilitySpec(part=part).key for part in ("pool", "target", "by-target", "existing")}) == 4


def test_specs_that_make_the_same_array_are_equal() -> None:
    assert UtilitySpec(seed=3) == UtilitySpec() and UtilitySpec(seed=3, rows=9) != UtilitySpec(rows=9)
    assert UtilitySpec(encoder=EmbeddingSpec(model="other")) == UtilitySpec()
    assert UtilitySpec(candidates=9) == UtilitySpec(candidates=9, encoder=EmbeddingSpec())
    assert UtilitySpec(self_="zero").stored == UtilitySpec()
    assert UtilitySpec.model_validate({"self": "cap"}) == UtilitySpec(self_="cap")
    assert UtilitySpec.model_validate(UtilitySpec(self_="cap").model_dump(mode="json")) == UtilitySpec(self_="cap")


@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_what_an_example_is_worth_to_itself_can_be_left_out_or_capped(layout: str) -> None:
    held = (
        KERNEL
        if layout == "dense"
        else csr(torch.tensor([0, 3, 6, 9]), torch.arange(3).repeat(3), KERNEL.flatten(), (3, 3))
    )
    features = InMemoryFeatures({UtilitySpec(): held})
    zero, cap = (features[UtilitySpec.model_validate({"self": rule})].to_dense() for rule in ("zero", "cap"))
    assert zero.diagonal().tolist() == [0.0, 0.0, 0.0]
    assert cap.diagonal().tolist() == pytest.approx([0.2, 0.05, -0.2])
    off = ~torch.eye(3, dtype=torch.bool)
    assert torch.equal(zero[off], KERNEL[off]) and torch.equal(cap[off], KERNEL[off])
    assert torch.equal(features[UtilitySpec()].to_dense(), KERNEL)


def test_an_example_alone_is_worth_nothing_beyond_itself() -> None:
    for rule in ("zero", "cap"):
        assert UtilitySpec.model_validate({"self": rule}).transform(torch.tensor([[0.7]])).tolist() == [[0.0]]


def test_random_rows_are_the_same_every_time_and_hold_the_diagonal_at_their_place() -> None:
    spec = UtilitySpec(rows=2, seed=4, self_="zero")
    places = spec.predicted(3)
    assert places.tolist() == sorted(set(places.tolist())) and len(places) == 2
    assert torch.equal(places, spec.predicted(3))
    assert spec.predicted(2).tolist() == [0, 1] and UtilitySpec().predicted(3).tolist() == [0, 1, 2]
    changed = spec.transform(KERNEL[:, places])
    assert [changed[place, column].item() for column, place in enumerate(places)] == [0.0, 0.0]
    assert int((changed != KERNEL[:, places]).sum()) == 2


def test_fields_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SettingsError, match="rows is 5 and candidates is 6: pairs are saved in one way"):
        UtilitySpec(rows=5, candidates=6)
    with pytest.raises(SettingsError, match="self is set for part target"):
        UtilitySpec(part="target", self_="cap")
    with pytest.raises(SettingsError, match="candidates is set for part existing"):
        UtilitySpec(part="existing", candidates=6)
    with pytest.raises(SettingsError, match="rows is set for part target"):
        UtilitySpec(part="target", rows=6)
