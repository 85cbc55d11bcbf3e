"""LEAD's policy alone, no model: seconds per round at a size of pool, and what its state weighs."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from coresift.bench.timing import Row, Table
from coresift.online import Lead
from coresift.policy import Observation, OnlineProblem, Round, State

TASKS = 9
"""Sources of the made-up pool."""
FALL = 0.8
"""What is left of a loss when it is measured."""


def policy_table(n: int, budget: int, seed: int) -> Table:
    """One whole run on random losses: proposing, observing and both, the seconds of every round.

    Args:
        n: Examples in the pool.
        budget: How many different ones are trained on.
        seed: Of pool and policy.
    """
    began = time.perf_counter()
    policy, problem = Lead(), _problem(n, budget, seed)
    state = policy.init(problem, seed)
    start = time.perf_counter() - began
    proposing, observing, sizes = [], [], []
    while True:
        began = time.perf_counter()
        proposal = policy.propose(state)
        middle = time.perf_counter()
        if proposal is None:
            break
        observation = _observed(state, proposal)
        resumed = time.perf_counter()
        state = policy.observe(state, proposal, observation)
        observing.append(time.perf_counter() - resumed)
        proposing.append(middle - began)
        sizes.append(len(proposal.indices))
    both = tuple(map(sum, zip(proposing, observing, strict=True)))
    facts = _facts(state, sizes, max(both))
    rows = (
        Row("propose and observe", both, facts),
        Row("propose", tuple(proposing)),
        Row("observe", tuple(observing)),
    )
    notes = (
        f"init, once per run, the pool made up included: {start:.2f} s",
        "seconds are per round, the spread is over the rounds of one run",
    )
    return Table(f"lead: one round of the policy at n = {n:,}, budget {budget:,}, {TASKS} tasks", rows, notes)


def _problem(n: int, budget: int, seed: int) -> OnlineProblem:
    draws = np.random.default_rng(seed)
    return OnlineProblem(
        n,
        budget,
        utilities=draws.gamma(2.0, 1.0, n),
        difficulty=draws.random(n),
        groups=[f"task {number}" for number in draws.integers(TASKS, size=n)],
    )


def _observed(state: State, proposal: Round) -> Observation:
    losses = FALL * state.utilities[proposal.indices].astype(np.float64)
    return Observation(proposal.indices, losses, changes=np.full(len(losses), -0.1), learning_rate=2e-5, steps=80)


def _facts(state: State, sizes: list[int], worst: float) -> Mapping[str, Any]:
    weight = sum(values.nbytes for values in state.to_arrays().values())
    return {
        "rounds": len(sizes),
        "examples_per_round": float(np.mean(sizes)),
        "worst_ms": 1e3 * worst,
        "state_bytes_per_example": weight / state.problem.n,
    }
