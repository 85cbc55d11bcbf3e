"""LEAD's policy: the golden trace, what every round keeps to, and what happens at the edges of a pool."""

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coresift.errors import SelectionError, SettingsError
from coresift.online import Lead
from coresift.policy import Observation, OnlineProblem, Round, State

GOLDEN = [  # arm, ids, probabilities before, losses, utilities after, reward, scaled reward, log-weights after
    (0, [0, 2], (0.5, 0.5), (1.8, 1.35), (1.82, 1.365), 0.1575, 0.1575, (0.01575, 0.0)),
    (1, [3, 4], (0.503544, 0.496456), (0.72, 2.7), (0.728, 2.73), 0.171, 1.0, (0.01575, 0.100714)),
    (1, [3, 4], (0.480895, 0.519105), (0.648, 2.43), (0.656, 2.46), 0.171, 1.0, (0.01575, 0.197033)),
    (0, [0, 2], (0.459323, 0.540677), (1.62, 1.215), (1.64, 1.23), 0.1575, -1.0, (-0.093106, 0.197033)),
]
START = np.array([2.0, 1.0, 1.5, 0.8, 3.0, 0.5])


class Dealt(Lead):
    """LEAD whose arms are drawn with given random numbers."""

    name: ClassVar[str] = "dealt"
    numbers: tuple[float, ...] = (0.30, 0.70, 0.95, 0.10)

    def uniform(self, state: State) -> float:
        return self.numbers[state.round]


def golden() -> tuple[Dealt, State]:
    policy = Dealt(clusters=2, gamma=0.1, b=0.1, rate=0.5, most_uses=2, rounds=4, delta="none")
    hard, tasks = np.array([0.1, 0.2, 0.15, 0.8, 0.9, 0.85]), ["a", "a", "b", "a", "b", "b"]
    return policy, policy.init(OnlineProblem(6, 6, utilities=START, difficulty=hard, groups=tasks))


def made(n: int = 300, budget: int = 60, seed: int = 0, **more: Any) -> OnlineProblem:
    draws = np.random.default_rng(seed)
    given = {"utilities": draws.gamma(2.0, 1.0, n), "difficulty": draws.random(n)}
    tasks = [f"t{draw}" for draw in draws.integers(3, size=n)]
    return OnlineProblem(n, budget, **{**given, "groups": tasks, "pool": "p", **more})


def losses_of(state: State, places: np.ndarray) -> np.ndarray:
    """A world in which every use takes a tenth off an example's loss."""
    return np.asarray(state.problem.utilities)[places] * 0.9 ** (state.uses[places] + 1.0)


def step(policy: Lead, state: State, **more: Any) -> tuple[Round | None, State]:
    proposal = policy.propose(state)
    if proposal is None:
        return None, state
    seen = Observation(proposal.indices, losses_of(state, proposal.indices), **more)
    return proposal, policy.observe(state, proposal, seen)


def run(policy: Lead, problem: OnlineProblem, seed: int = 0) -> tuple[list[Round], State]:
    state, rounds = policy.init(problem, seed), []
    while True:
        proposal, state = step(policy, state)
        if proposal is None:
            return rounds, state
        rounds.append(proposal)


def test_the_golden_trace() -> None:
    policy, state = golden()
    for arm, ids, chances, losses, utilities, reward, scaled, weights in GOLDEN:
        proposal = policy.propose(state)
        assert proposal is not None and proposal.facts["arm"] == arm and proposal.indices.tolist() == ids
        np.testing.assert_allclose(proposal.facts["probabilities"], chances, atol=1e-6)
        np.testing.assert_allclose(losses_of(state, proposal.indices), losses, atol=1e-12)
        proposal, state = step(policy, state)
        np.testing.assert_allclose(state.utilities[ids], utilities, atol=1e-6)
        assert state.facts["reward"] == pytest.approx(reward, abs=1e-6)
        assert state.facts["scaled_reward"] == pytest.approx(scaled, abs=1e-6)
        np.testing.assert_allclose(state.own["log_weights"], weights, atol=1e-6)
    from coresift.bandits.exp3 import probabilities

    np.testing.assert_allclose(probabilities(state.own["log_weights"], 0.1), [0.435173, 0.564827], atol=1e-6)
    assert state.selected.tolist() == [0, 2, 3, 4] and state.utilities[[1, 5]].tolist() == [1.0, 0.5]
    assert policy.propose(state) is None


def test_the_reward_is_the_mean_drop_in_utility() -> None:
    policy = Lead(clusters=1, rate=1.0, b=0.0, delta="none", reward="plain", rounds=1)
    state = policy.init(OnlineProblem(4, 4, utilities=np.array([1.8, 1.5, 2.2, 1.1]), difficulty=np.ones(4)))
    proposal = policy.propose(state)
    assert proposal is not None and proposal.indices.tolist() == [2, 0, 1, 3]
    losses = np.array([1.9, 1.5, 1.45, 1.15])
    state = policy.observe(state, proposal, Observation(proposal.indices, losses))
    assert state.facts["reward"] == pytest.approx(0.15, abs=1e-6)
    assert state.own["log_weights"].tolist() == [pytest.approx(0.1 * 0.15, abs=1e-6)]


def test_plain_and_normalised_rewards_differ_from_the_second_round_on() -> None:
    scaled = {}
    for kind in ("plain", "normalised"):
        policy = Lead(reward=kind, delta="none", clusters=3, rate=0.1, b=0.5)
        state, scaled[kind] = policy.init(made()), []
        for _ in range(3):
            state = step(policy, state)[1]
            scaled[kind].append(state.facts["scaled_reward"])
    assert scaled["plain"][0] == scaled["normalised"][0]
    assert abs(scaled["normalised"][1]) == 1.0 != abs(scaled["plain"][1])


def test_quotas_are_shares_of_what_is_eligible_rounded_down_but_at_least_one() -> None:
    tasks = ["a"] * 100 + ["b"] * 40 + ["c"] * 7
    problem = OnlineProblem(147, 147, utilities=np.arange(147.0), difficulty=np.ones(147), groups=tasks)
    for rate, expected in [(0.15, [15, 6, 1]), (0.015, [1, 1, 1]), (0.29, [29, 11, 2])]:
        policy = Lead(clusters=1, rate=rate)
        proposal = policy.propose(policy.init(problem))
        assert proposal is not None
        counts = np.unique(np.array(tasks)[proposal.indices], return_counts=True)[1]
        assert counts.tolist() == expected


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.floats(0.01, 0.6), st.integers(1, 3))
def test_every_round_keeps_to_its_arm_its_quotas_and_the_budget(seed: int, k: int, rate: float, uses: int) -> None:
    draws = np.random.default_rng(seed)
    problem = made(90, int(draws.integers(1, 91)), seed)
    problem = replace(problem, utilities=np.round(problem.utilities, 1))  # ties
    policy = Lead(clusters=k, rate=rate, most_uses=uses, rounds=30, delta="none")
    state = policy.init(problem, seed)
    tasks = np.array(problem.groups)
    while (proposal := policy.propose(state)) is not None:
        picks, arm = proposal.indices, proposal.facts["arm"]
        assert len(set(picks.tolist())) == len(picks) > 0
        assert (state.derived.arm[picks] == arm).all() and (state.uses[picks] < uses).all()
        assert sum(proposal.facts["probabilities"]) == pytest.approx(1.0)
        last = len(set(picks.tolist()) - set(state.selected.tolist())) == state.left
        for task in set(tasks):
            eligible = np.flatnonzero((state.derived.arm == arm) & (tasks == task) & (state.uses < uses))
            ranked = sorted(eligible, key=lambda place: (-state.utilities[place], place))
            wanted = ranked[: min(len(ranked), max(1, int(rate * len(ranked) + 1e-9)))]
            found = [place for place in picks if tasks[place] == task]
            assert found == wanted or (last and set(found) <= set(wanted))
        state = step(policy, state)[1]
        assert state.spent <= problem.budget
    assert state.uses.max() <= uses


def test_the_last_round_ends_exactly_at_the_budget_with_its_most_uncertain_examples() -> None:
    policy = Lead(clusters=1, rate=0.5, delta="none", most_uses=1)
    problem = OnlineProblem(8, 5, utilities=np.arange(8.0), difficulty=np.ones(8))
    rounds, state = run(policy, problem)
    assert [each.indices.tolist() for each in rounds] == [[7, 6, 5, 4], [3]]
    assert state.spent == 5 and state.left == 0


def test_a_whole_run_spends_exactly_its_budget() -> None:
    rounds, state = run(Lead(clusters=4, rate=0.1, rounds=50), made(300, 61))
    assert state.spent == 61 == len(set(np.concatenate([each.indices for each in rounds]).tolist()))
    assert int(state.uses.sum()) == sum(len(each.indices) for each in rounds)


def test_the_order_of_the_pool_does_not_matter_but_for_ties() -> None:
    problem = made()
    order = np.random.default_rng(5).permutation(problem.n)
    moved = replace(
        problem,
        utilities=problem.utilities[order],
        difficulty=problem.difficulty[order],
        groups=[problem.groups[place] for place in order],
    )
    policy = Lead(clusters=3, rounds=6)
    for one, two in zip(run(policy, problem)[0], run(policy, moved)[0], strict=True):
        assert one.indices.tolist() == order[two.indices].tolist()


def test_the_seed_decides_the_arms_and_nothing_else_does() -> None:
    policy, problem = Lead(clusters=5, gamma=1.0, rounds=12), made(300, 300)
    arms = [[each.facts["arm"] for each in run(policy, problem, seed)[0]] for seed in (3, 3, 4)]
    assert arms[0] == arms[1] != arms[2]


def test_a_run_saved_after_any_round_goes_on_as_if_it_had_not_stopped() -> None:
    policy, problem = Lead(clusters=3, rounds=8, b="auto", rate=0.2), made()
    whole, end = run(policy, problem, 7)
    for stop in range(len(whole)):
        state = policy.init(problem, 7)
        for _ in range(stop):
            state = step(policy, state)[1]
        state = policy.init(problem, 7).from_arrays(state.to_arrays())
        for expected in whole[stop:]:
            proposal, state = step(policy, state)
            assert proposal is not None and dict(proposal.facts) == dict(expected.facts)
            assert proposal.indices.tolist() == expected.indices.tolist()
        for name, values in end.to_arrays().items():
            np.testing.assert_array_equal(values, state.to_arrays()[name], err_msg=name)


def test_an_arm_that_runs_empty_is_never_drawn_again() -> None:
    hard, utilities = np.array([0.1] + [0.9] * 9), np.ones(10)
    policy = Lead(clusters=2, gamma=1.0, rate=0.2, most_uses=2, rounds=40, delta="none")
    rounds, state = run(policy, OnlineProblem(10, 10, utilities=utilities, difficulty=hard), 1)
    empty = [each for each in rounds if each.facts["probabilities"][0] == 0.0]
    assert state.uses[0] == 2 and len(empty) > 0
    assert all(each.facts["probabilities"] == [0.0, 1.0] and each.facts["arm"] == 1 for each in empty)
    assert state.spent == 10


def test_a_run_ends_when_every_example_is_used_up() -> None:
    policy = Lead(clusters=2, rate=1.0, most_uses=1, rounds=40)
    utilities = np.array([1.0, 2.0, np.nan, 3.0])
    rounds, state = run(policy, OnlineProblem(4, 4, utilities=utilities, difficulty=np.array([0.1, 0.2, 0.3, 0.4])))
    assert state.spent == 3 and state.uses[2] == 0 and len(rounds) == 2
    assert policy.propose(state) is None and state.round < 40


def test_examples_without_a_difficulty_are_dropped_or_a_cluster_of_their_own() -> None:
    hard = np.array([0.1, np.nan, 0.5, 0.9, np.nan, 0.2])
    utilities = np.array([1.0, 9.0, 1.0, 1.0, np.nan, 1.0])
    problem = OnlineProblem(6, 4, utilities=utilities, difficulty=hard)
    assert Lead(clusters=3).init(problem).derived.arm.tolist() == [0, -1, 1, 2, -1, 0]
    own = Lead(clusters=3, invalid="own-cluster").init(problem)
    assert own.derived.arm.tolist() == [0, 3, 1, 2, -1, 0] and len(own.own["log_weights"]) == 4
    assert 1 not in run(Lead(clusters=3, rate=1.0), problem)[1].selected


def test_cluster_zero_is_the_easiest() -> None:
    state = Lead(clusters=4).init(made())
    hard = np.asarray(state.problem.difficulty)
    means = [hard[state.derived.arm == arm].mean() for arm in range(4)]
    assert means == sorted(means)


def test_losses_that_were_not_measured_change_no_utility_and_no_weight() -> None:
    policy, state = golden()
    proposal = policy.propose(state)
    assert proposal is not None
    none = policy.observe(state, proposal, Observation(proposal.indices, np.array([np.nan, np.nan])))
    np.testing.assert_array_equal(none.utilities, state.utilities)
    assert not none.own["log_weights"].any() and none.facts["reward"] is None
    assert none.uses[[0, 2]].tolist() == [1, 1] and none.round == 1
    one = policy.observe(state, proposal, Observation(proposal.indices, np.array([np.inf, 1.35])))
    assert one.utilities[[0, 2]].tolist() == [2.0, pytest.approx(1.365)]
    assert one.facts["reward"] == pytest.approx(0.135) and one.facts["measured"] == 1


def test_of_an_example_seen_twice_the_last_loss_counts() -> None:
    policy, state = golden()
    proposal = policy.propose(state)
    assert proposal is not None
    seen = Observation(np.array([0, 2, 0]), np.array([9.0, 1.35, 1.8]))
    found = policy.observe(state, proposal, seen)
    np.testing.assert_array_equal(found.utilities, step(policy, state)[1].utilities)


def test_first_order_changes_are_added_as_far_as_they_have_come_true() -> None:
    policy = Lead(clusters=1, rate=1.0, b=0.0, delta="first-order", rounds=9)
    state = policy.init(OnlineProblem(4, 4, utilities=np.full(4, 9.0), difficulty=np.ones(4)))
    rows = np.arange(4)
    first = Observation(rows, np.full(4, 8.0), changes=np.array([-1.0, -2.0, -2.0, np.nan]))
    state = replace(policy.observe(state, Round(0, rows, {"arm": 0, "probabilities": [1.0]}), first))
    assert state.utilities.tolist() == [7.0, 6.0, 6.0, 8.0] and state.facts["transfer"] == 1.0
    # Half of what was foreseen came true: (4.5 + 1) / (9 + 1) of the next estimates is believed.
    second = Observation(rows, np.array([7.5, 7.0, 7.0, 7.0]), changes=np.full(4, -1.0))
    state = policy.observe(state, Round(1, rows, {"arm": 0, "probabilities": [1.0]}), second)
    third = Observation(rows, np.full(4, 6.0), changes=np.full(4, -1.0))
    state = policy.observe(state, Round(2, rows, {"arm": 0, "probabilities": [1.0]}), third)
    assert state.facts["transfer"] == pytest.approx(5.5 / 10.0)
    np.testing.assert_allclose(state.utilities, 6.0 - 0.55, rtol=1e-6)
    assert state.facts["errors"]["first-order"] is not None


def test_the_papers_change_comes_from_norms_of_earlier_rounds() -> None:
    policy = Lead(clusters=2, rate=1.0, b=0.0, delta="paper", rounds=9)
    state = policy.init(OnlineProblem(4, 4, utilities=np.full(4, 9.0), difficulty=np.array([0.1, 0.1, 0.9, 0.9])))

    def observed(state: State, arm: int, **facts: Any) -> State:
        rows = np.flatnonzero(state.derived.arm == arm)
        proposal = Round(state.round, rows, {"arm": arm, "probabilities": [0.5, 0.5]})
        shared = {"learning_rate": 0.01, "steps": 10}
        return policy.observe(state, proposal, Observation(rows, np.full(2, 5.0), **shared, **facts))

    one = observed(state, 0, gradient_norm2=4.0)
    assert one.facts["change"] == 0.0 and one.facts["beta"] is None  # nothing is known yet
    two = observed(one, 1, gradient_norm2=1.0)
    assert two.facts["change"] == pytest.approx(-0.4) and two.facts["beta"] == 0.0  # the round before alone
    three = observed(two, 0, gradient_norm2=1.0, cosine=-0.5)
    assert three.facts["beta"] == pytest.approx(0.285714, abs=1e-6)
    assert three.facts["change"] == pytest.approx(-0.1 * 0.428571, abs=1e-6)
    again = observed(three, 0, gradient_norm2=2.0)  # the round before drew the same arm: one gradient
    assert again.facts["change"] == pytest.approx(-0.1) and again.facts["beta"] == 0.5
    np.testing.assert_allclose(again.utilities[:2], 5.0 - 0.1)
    assert again.facts["errors"]["paper"] == pytest.approx(np.sqrt((0.0**2 + 0.0428571**2) / 2), abs=1e-6)


def test_without_a_norm_the_fall_in_loss_over_the_round_tells_it() -> None:
    policy = Lead(clusters=1, rate=1.0, delta="paper", rounds=9)
    state = policy.init(OnlineProblem(4, 4, utilities=np.full(4, 9.0), difficulty=np.ones(4)))
    proposal = Round(0, np.arange(4), {"arm": 0, "probabilities": [1.0]})
    seen = Observation(np.arange(4), np.array([3.0, 2.5, 2.5, 2.0]), learning_rate=0.1, steps=2)
    assert policy.observe(state, proposal, seen).own["norms"].tolist() == [pytest.approx(5.0)]
    bad = replace(seen, gradient_norm2=float("nan"))
    assert policy.observe(state, proposal, bad).own["norms"].tolist() == [pytest.approx(5.0)]


def test_automatic_smoothing_follows_noise_and_drift() -> None:
    draws = np.random.default_rng(0)
    policy = Lead(clusters=1, rate=1.0, delta="none", b="auto", rounds=9, most_uses=9)
    state, used = policy.init(OnlineProblem(4000, 4000, utilities=np.full(4000, 5.0), difficulty=np.ones(4000))), []
    rows = np.arange(4000)
    for number in range(3):
        seen = Observation(rows, 5.0 - 0.2 * number + 0.3 * draws.standard_normal(4000))
        state = policy.observe(state, Round(number, rows, {"arm": 0, "probabilities": [1.0]}), seen)
        used.append(state.facts["b"])
    assert used[:2] == [0.1, 0.1] and used[2] == pytest.approx(0.346, abs=0.02)


def test_the_plan_names_rounds_and_warns_of_a_budget_that_cannot_be_met() -> None:
    policy = Lead(clusters=3, rate=0.1, rounds=20)
    plan = policy.plan(policy.init(made(300, 60)))
    assert plan.warning == "" and plan.distinct == 60 and plan.examples == 60 and 4 <= plan.rounds <= 8
    short = Lead(clusters=3, rate=0.1, rounds=2)
    plan = short.plan(short.init(made(300, 60)))
    assert plan.rounds == 2 and plan.examples < 60
    assert "2 rounds of about" in plan.warning and "budget of 60: raise rounds to" in plan.warning
    hard = np.where(np.arange(300) < 250, np.nan, np.random.default_rng(0).random(300))
    plan = policy.plan(policy.init(made(300, 60, difficulty=hard)))
    assert plan.warning == "the budget is 60, but only 50 examples have a utility and a difficulty"
    assert plan.distinct == 50


def test_the_plan_of_600_000_examples_takes_at_least_twelve_rounds() -> None:
    draws = np.random.default_rng(0)
    problem = OnlineProblem(600_000, 15_000, utilities=draws.random(600_000), difficulty=draws.random(600_000))
    plan = (policy := Lead()).plan(policy.init(problem))
    assert plan.rounds == 12 and plan.examples == 15_000 and plan.warning == ""


def test_no_difficulty_is_an_error() -> None:
    with pytest.raises(SelectionError, match="lead needs the difficulty of every example. Score the pool"):
        Lead().init(OnlineProblem(3, 1, utilities=np.ones(3)))


def test_no_valid_example_is_an_error() -> None:
    with pytest.raises(SelectionError, match="none of the 3 examples has both a utility and a difficulty"):
        apart = np.array([1.0, np.nan, np.nan])
        Lead().init(OnlineProblem(3, 1, utilities=np.array([np.nan, 1.0, 1.0]), difficulty=apart))
    with pytest.raises(SelectionError, match="none of the 3 examples has both a utility and a difficulty"):
        Lead().init(OnlineProblem(3, 1, utilities=np.full(3, np.nan), difficulty=np.ones(3)))


def test_more_clusters_than_different_difficulties_is_an_error() -> None:
    with pytest.raises(SelectionError, match="2 different values of difficulty cannot fill 7 clusters"):
        Lead().init(OnlineProblem(4, 1, utilities=np.ones(4), difficulty=np.array([0.1, 0.1, 0.2, 0.2])))


@pytest.mark.parametrize("wrong", [{"b": 1.0}, {"b": "best"}, {"gamma": 0.0}, {"rate": 0.0}, {"clusters": 0}, {"k": 7}])
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        Lead(**wrong)
