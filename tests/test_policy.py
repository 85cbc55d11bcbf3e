"""The values between a policy and a training loop: what is refused, what is saved, what it weighs."""

from typing import Any

import numpy as np
import pytest

from coresift.errors import SelectionError
from coresift.online import Lead, RandomPerRound
from coresift.policy import MOST_ROUNDS, MOST_USES, Observation, OnlineProblem, Round, State


def begun(n: int = 20, **more: Any) -> State:
    hard = np.random.default_rng(0).random(n)
    return Lead(clusters=2).init(OnlineProblem(n, 5, utilities=np.ones(n), difficulty=hard, pool="p", **more), 3)


@pytest.mark.parametrize("budget", [0, 6])
def test_a_budget_outside_the_pool_is_refused(budget: int) -> None:
    with pytest.raises(SelectionError, match=f"budget {budget}: the pool has 5 examples. Ask for 1 to 5"):
        OnlineProblem(5, budget)


def test_what_happens_to_the_arrays_later_is_not_seen() -> None:
    losses = np.ones(5)
    problem = OnlineProblem(5, 2, utilities=losses)
    facts = problem.facts
    losses *= 0.5
    assert problem.facts == facts and RandomPerRound().init(problem).utilities.tolist() == [1.0] * 5


def test_an_empty_pool_is_refused() -> None:
    with pytest.raises(SelectionError, match="the pool is empty. A policy needs at least one example"):
        OnlineProblem(0, 1)


@pytest.mark.parametrize("name", ["utilities", "difficulty", "groups"])
def test_values_of_another_length_are_refused(name: str) -> None:
    with pytest.raises(SelectionError, match=f"2 {name} for 3 examples. Pass one per example"):
        OnlineProblem(3, 1, **{name: ["a", "b"]})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_pool_without_any_utility_is_refused(value: float) -> None:
    with pytest.raises(SelectionError, match="none of the 4 examples has a utility .* nothing to train on"):
        RandomPerRound().init(OnlineProblem(4, 2, utilities=np.full(4, value)))


def test_the_saved_state_takes_fifteen_bytes_per_example_and_little_else(tmp_path: Any) -> None:
    small, large = (begun(n).to_arrays() for n in (100, 10_100))
    grown = sum(each.nbytes for each in large.values()) - sum(each.nbytes for each in small.values())
    assert grown <= 15 * 10_000 + 100
    np.savez(tmp_path / "state.npz", **large)
    assert (tmp_path / "state.npz").stat().st_size <= 16 * 10_100
    with np.load(tmp_path / "state.npz", allow_pickle=False) as saved:
        assert begun(10_100).from_arrays(dict(saved)).round == 0


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"pool": "q"}, "pool: the state has 'q', this run needs 'p'"),
        ({"utilities": np.full(20, 2.0)}, "utilities: the state has"),
        ({"budget": 6}, "budget: the state has 6, this run needs 5"),
        ({"groups": ["a"] * 20}, "groups: the state has"),
    ],
)
def test_a_saved_state_of_another_pool_is_refused(other: dict[str, Any], said: str) -> None:
    hard = np.random.default_rng(0).random(20)
    given = {"budget": 5, "utilities": np.ones(20), "difficulty": hard, "pool": "p", **other}
    saved = Lead(clusters=2).init(OnlineProblem(20, **given), 3).to_arrays()
    with pytest.raises(SelectionError, match="the saved state belongs to another run") as caught:
        begun().from_arrays(saved)
    assert said in str(caught.value)


def test_a_saved_state_of_another_policy_or_seed_is_refused() -> None:
    problem = begun().problem
    for policy, seed in [(Lead(clusters=2), 4), (Lead(clusters=2, gamma=0.2), 3)]:
        with pytest.raises(SelectionError, match="(seed|settings.gamma): the state has"):
            begun().from_arrays(policy.init(problem, seed).to_arrays())


def test_arrays_that_are_no_state_are_refused() -> None:
    arrays = begun().to_arrays()
    del arrays["own.rewards"], arrays["uses"]
    with pytest.raises(SelectionError, match=r"a saved state without own.rewards, uses. Start the run in a new folder"):
        begun().from_arrays(arrays)


def seen(*places: int, losses: int | None = None, **more: Any) -> Observation:
    return Observation(np.array(places), np.ones(len(places) if losses is None else losses), **more)


def proposed(number: int = 0, *places: int) -> Round:
    return Round(number, np.array(places or (0, 1)))


def test_an_observation_that_does_not_fit_is_refused() -> None:
    policy = RandomPerRound()
    state = policy.init(OnlineProblem(6, 3))
    with pytest.raises(SelectionError, match="round 1 observed after 0 rounds. Observe each round once"):
        policy.observe(state, proposed(1), seen(0))
    with pytest.raises(SelectionError, match="1 losses for 2 observed examples. Pass one per example"):
        policy.observe(state, proposed(), seen(0, 1, losses=1))
    with pytest.raises(SelectionError, match="3 changes for 2 observed examples. Pass one per example"):
        policy.observe(state, proposed(), seen(0, 1, changes=np.ones(3)))
    with pytest.raises(SelectionError, match="round 0: example 4 was observed but not proposed"):
        policy.observe(state, proposed(), seen(0, 4))


def test_rounds_and_uses_are_counted_as_far_as_the_state_can() -> None:
    from dataclasses import replace

    policy = RandomPerRound()
    state = policy.init(OnlineProblem(6, 3))
    full = replace(state, round=MOST_ROUNDS)
    with pytest.raises(SelectionError, match="65535 rounds: a state counts 65535 at most. Take larger rounds"):
        policy.observe(full, proposed(MOST_ROUNDS), seen(0))
    often = replace(state, uses=np.full(6, MOST_USES, np.uint8))
    assert policy.observe(often, proposed(), seen(0, 1)).uses[0] == MOST_USES


def test_a_state_is_never_changed_by_what_follows_it() -> None:
    policy = RandomPerRound()
    state = policy.init(OnlineProblem(6, 3, utilities=np.ones(6)))
    before = {name: values.copy() for name, values in state.to_arrays().items()}
    after = policy.observe(state, proposed(), seen(1, 0, changes=np.array([-0.5, np.nan])))
    for name, values in state.to_arrays().items():
        np.testing.assert_array_equal(values, before[name])
    assert after.last.tolist() == [1, 1, 0, 0, 0, 0] and after.losses[:2].tolist() == [1.0, 1.0]
    assert after.changes[1] == -0.5 and np.isnan(after.changes[0])
    assert after.spent == 2 and after.left == 1 and after.selected.tolist() == [0, 1]
