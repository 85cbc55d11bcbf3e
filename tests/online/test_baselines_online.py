"""The policies to compare with: random, greatest loss, and any one-shot method."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from coresift.errors import SettingsError
from coresift.features.memory import InMemoryFeatures
from coresift.features.specs import GradientSpec
from coresift.online import POLICIES, Lead, LossPerRound, RandomPerRound, Static
from coresift.policy import Observation, OnlineProblem, Policy, Round, State
from coresift.selectors import Craig, Random


def problem(n: int = 50, budget: int = 20, bad: tuple[int, ...] = (3, 7)) -> OnlineProblem:
    utilities = np.random.default_rng(0).gamma(2.0, 1.0, n)
    utilities[list(bad)] = np.nan
    return OnlineProblem(n, budget, utilities=utilities, pool="p")


def run(policy: Policy, given: OnlineProblem, fall: float = 0.5) -> tuple[list[Round], State]:
    state, rounds = policy.init(given, 1), []
    while (proposal := policy.propose(state)) is not None:
        rounds.append(proposal)
        seen = Observation(proposal.indices, fall * state.utilities[proposal.indices])
        state = policy.observe(state, proposal, seen)
    return rounds, state


def policies() -> list[Policy]:
    return [
        Lead(clusters=2, rate=0.2, rounds=99, most_uses=2),
        RandomPerRound(rounds=6),
        LossPerRound(rounds=6),
        Static(selector=Random(), epochs=2),
    ]


@pytest.mark.parametrize("policy", policies(), ids=lambda policy: policy.name)
def test_every_policy_keeps_what_policies_promise(policy: Policy) -> None:
    assert isinstance(policy, Policy) and POLICIES[policy.name] is type(policy)
    given = replace(problem(), difficulty=np.random.default_rng(1).random(50))
    rounds, state = run(policy, given)
    assert [each.number for each in rounds] == list(range(len(rounds))) and state.round == len(rounds)
    assert all(len(set(each.indices.tolist())) == len(each.indices) > 0 for each in rounds)
    assert set(np.concatenate([each.indices for each in rounds]).tolist()) == set(state.selected.tolist())
    assert state.spent <= 20 and not set(state.selected.tolist()) & {3, 7}
    again = policy.init(given, 1).from_arrays(state.to_arrays())
    assert again.spent == state.spent and policy.propose(again) is None
    assert policy.plan(policy.init(given, 1)).rounds >= 1
    if policy.name != "static":
        assert state.spent == 20


def test_random_takes_every_example_once_in_even_portions() -> None:
    rounds, state = run(RandomPerRound(rounds=6), problem())
    assert [len(each.indices) for each in rounds] == [4, 4, 3, 3, 3, 3] and state.uses.max() == 1
    other = RandomPerRound(rounds=2)
    joined = np.concatenate([each.indices for each in rounds]).tolist()
    assert np.concatenate([each.indices for each in run(other, problem())[0]]).tolist() == joined


def test_random_trains_on_all_there_is_and_says_so() -> None:
    policy, given = RandomPerRound(rounds=3), problem(6, 6, bad=(0,))
    plan = policy.plan(policy.init(given))
    assert plan.warning == "the budget is 6, but only 5 examples have a utility" and plan.examples == plan.distinct == 5
    assert run(policy, given)[1].selected.tolist() == [1, 2, 3, 4, 5]


def test_the_greatest_loss_comes_first_and_may_come_again() -> None:
    utilities = np.array([1.0, 8.0, 3.0, 2.0, 0.5])
    given = OnlineProblem(5, 4, utilities=utilities)
    rounds, state = run(LossPerRound(rounds=4), given)
    assert [each.indices.tolist() for each in rounds] == [[1], [1], [2], [1], [3], [2], [0]]
    assert state.spent == 4 and state.uses.tolist() == [1, 3, 2, 1, 0]


def test_used_up_examples_do_not_come_again() -> None:
    rounds, state = run(LossPerRound(rounds=4, most_uses=1), OnlineProblem(5, 4, utilities=np.arange(5.0)))
    assert [each.indices.tolist() for each in rounds] == [[4], [3], [2], [1]] and state.uses.max() == 1
    short = OnlineProblem(3, 3, utilities=np.array([1.0, np.nan, 2.0]))
    assert run(LossPerRound(rounds=1), short, fall=1.0)[1].selected.tolist() == [0, 2]


def test_a_one_shot_method_is_a_policy_of_one_round_per_epoch() -> None:
    spec = GradientSpec(loss="response", dim=8)
    features = InMemoryFeatures({spec: torch.randn(40, 8, generator=torch.Generator().manual_seed(0))})
    given = OnlineProblem(40, 9, features=features)
    policy = Static(selector=Craig(dim=8), epochs=3)
    rounds, state = run(policy, given)
    assert len(rounds) == 3 and all((each.indices == rounds[0].indices).all() for each in rounds)
    assert state.uses[rounds[0].indices].tolist() == [3] * 9
    assert sum(rounds[0].facts["weights"]) == pytest.approx(40.0)
    assert state.identity["settings"]["selector"]["dim"] == 8


def test_picks_that_cannot_be_trained_on_are_left_out_and_said() -> None:
    given = problem(10, 10)
    policy = Static(selector=Random())
    plan = policy.plan(policy.init(given))
    assert plan.warning == "the budget is 10, but random gave 8 examples that can be trained on"
    assert plan.examples == plan.distinct == 8
    assert sorted(run(policy, given)[0][0].indices.tolist()) == [0, 1, 2, 4, 5, 6, 8, 9]


def test_something_that_selects_nothing_is_no_selector() -> None:
    with pytest.raises(SettingsError, match="selector"):
        Static(selector="random")  # type: ignore[arg-type]
