"""Methods with a target, on arrays of one's own: what each way of aggregating picks, and what is refused."""

from typing import Any

import pytest
import torch

from coresift import InMemoryFeatures, select
from coresift.errors import SelectionError, SettingsError
from coresift.features.targets import GradientSimilaritySpec
from coresift.selectors import Bm25, Less, RdsPlus, TargetMatch
from coresift.targets.influence import influence, mean_rows

WORKED = torch.tensor(
    [[0.9267767, 0.1767767, 0.7071068, 1.0], [0.25, 1.0, 0.5303301, 0.1767767], [0.45, 0.6, 0.9924621, 0.6267768]]
)
SUBTASKS = ["one", "one", "two", "two"]


def chosen(method: Any, similar: torch.Tensor, budget: Any, subtasks: list[str] | None = None) -> Any:
    return select(method, InMemoryFeatures({method.similarity: similar}), budget, subtasks=subtasks)


def test_less_picks_the_worked_example_first_with_its_worked_score() -> None:
    coreset = chosen(Less(), WORKED, 3, SUBTASKS)
    assert coreset.indices.tolist() == [0, 2, 1] and coreset.weights.tolist() == [1.0] * 3
    assert coreset.diagnostics["scores"] == pytest.approx([0.8535534, 0.8096194, 0.625], abs=1e-6)
    assert coreset.diagnostics["subtasks"] == {"one": 1, "two": 2}


def test_less_with_mean_gradients_reads_one_column_per_subtask() -> None:
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 0.0]])
    pool = torch.tensor([[1.0, 1.0], [3.0, 1.0], [0.0, 1.0]])
    found = influence([pool], [mean_rows(target, SUBTASKS)], [1.0])
    coreset = chosen(Less(average="gradients"), found, 2, SUBTASKS)
    assert coreset.indices.tolist() == [0, 1]  # along (1, 1) and (3, 1), the two means
    assert coreset.diagnostics["subtasks"] == {"one": 1, "two": 1}
    assert chosen(Less(average="gradients"), found, 2).indices.tolist() == [0, 1]


def test_a_target_without_subtasks_is_one_subtask() -> None:
    assert chosen(Less(), WORKED, 3).indices.tolist() == WORKED.mean(dim=1).argsort(descending=True).tolist()


def test_the_largest_similarity_is_another_order_than_the_largest_mean() -> None:
    similar = torch.tensor([[1.0, 0.0], [0.6, 0.6]])
    assert chosen(Less(aggregate="max"), similar, 1).indices.tolist() == [0]
    assert chosen(Less(aggregate="mean"), similar, 1).indices.tolist() == [1]


def test_in_turn_every_target_example_is_served_and_the_coreset_says_which() -> None:
    coreset = chosen(RdsPlus(), WORKED, 3)
    assert coreset.indices.tolist() == [0, 1, 2]
    assert coreset.diagnostics["takers"] == [0, 1, 2]
    assert coreset.diagnostics["scores"] == pytest.approx([0.9267767, 1.0, 0.9924621])


def test_a_pick_that_no_target_example_tells_apart_has_no_taker() -> None:
    coreset = chosen(Bm25(), torch.tensor([[0.0], [2.0], [0.0]]), 2)
    assert coreset.indices.tolist() == [1, 0] and coreset.diagnostics["takers"] == [0, -1]
    assert coreset.diagnostics["scores"] == [2.0, 0.0]


def test_mutual_information_serves_another_target_example_before_a_second_of_the_same_kind() -> None:
    similar = torch.tensor([[0.9, 0.0], [0.9, 0.0], [0.0, 0.5]])
    assert chosen(Less(aggregate="max"), similar, 2).indices.tolist() == [0, 1]
    diverse = chosen(Less(aggregate="mutual-information", eta=0.0), similar, 2)
    assert diverse.indices.tolist() == [0, 2]
    assert diverse.diagnostics["gains"] == pytest.approx([0.9, 0.5], abs=1e-6)
    assert chosen(Less(aggregate="mutual-information", eta=9.0), similar, 2).indices.tolist() == [0, 1]


def test_mutual_information_needs_something_similar() -> None:
    with pytest.raises(SelectionError, match="no similarity is above 0.: nothing to match. Check that the target"):
        chosen(Less(aggregate="mutual-information"), -WORKED, 2)


def test_target_match_mixes_both_parts_by_their_weight() -> None:
    knowledge, following = torch.tensor([[0.9], [0.1], [0.6]]), torch.tensor([[0.0], [0.7], [0.5]])

    def picks(weight: float) -> list[int]:
        method = TargetMatch(following=weight)
        arrays = {method.part("knowledge"): knowledge, method.part("following"): following}
        return select(method, InMemoryFeatures(arrays), 3).indices.tolist()

    assert picks(0.0) == [0, 2, 1] and picks(1.0) == [1, 2, 0] and picks(0.5) == [2, 0, 1]


def test_parts_of_different_targets_are_refused() -> None:
    method = TargetMatch()
    arrays = {method.part("knowledge"): torch.ones(3, 2), method.part("following"): torch.ones(3, 1)}
    with pytest.raises(SelectionError, match=r"\(3, 2\) and following ones of shape \(3, 1\). Both are of the same"):
        select(method, InMemoryFeatures(arrays), 1)


@pytest.mark.parametrize(
    ("method", "what"), [(Less(), "3 target examples"), (Less(average="gradients"), "2 sub-tasks")]
)
def test_subtasks_of_another_target_are_refused(method: Less, what: str) -> None:
    with pytest.raises(SelectionError, match=f"4 columns for {what}. Pass the sub-task of every target example"):
        chosen(method, WORKED, 1, ["a", "b", "a"])


def test_smaller_budgets_are_prefixes_with_their_own_counts() -> None:
    small, large = chosen(RdsPlus(), WORKED, [1, 3], SUBTASKS)
    assert small.indices.tolist() == large.indices.tolist()[:1] and small.weights.tolist() == [3.0]
    assert small.diagnostics["subtasks"] == {"one": 0, "two": 1}


def test_gradients_that_cannot_be_had_are_refused_by_the_settings() -> None:
    with pytest.raises(
        SettingsError, match="checkpoints is 'epochs' and of is 'head'.* Set checkpoints=last or of=lora"
    ):
        Less(of="head", preconditioner="none")
    with pytest.raises(SettingsError, match="preconditioner is 'adam' and of is 'linear'.* Set preconditioner=none"):
        TargetMatch(of="linear")
    spec = TargetMatch(of="linear", preconditioner="none", layers="last-2").part("following")
    assert spec.pool_gradients == spec.target_gradients and spec.pool_gradients.layers == "last-2"


def test_what_is_alike_in_both_sides_of_less_is_said_by_its_specs() -> None:
    spec = Less(dim=16, sketch_seed=3).similarity
    assert spec.target_gradients == spec.pool_gradients.model_copy(update={"preconditioner": "none"})
    assert spec.pool_gradients.dim == 16 and spec.pool_gradients.seed == spec.target_gradients.seed == 3
    assert spec.part == "target" and spec.key.startswith("gradient-similarity-response-epochs-16-")
    assert "-last-8192-subtasks-" in GradientSimilaritySpec(average="gradients").key
