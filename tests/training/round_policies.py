"""A small policy for the tests of training in rounds: the highest utilities first, as many per round as asked for."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from coresift.policy import Observation, OnlineProblem, Plan, Round, State, after, measured, start
from coresift.settings import Settings


class Highest(Settings):
    """The `size` highest utilities of what is not trained on yet; utilities become the losses."""

    name: str = "highest"
    size: int = 5
    delta: str = "none"
    rounds: int = 99

    def init(self, problem: OnlineProblem, seed: int = 0) -> State:
        return start(self, problem, seed)

    def plan(self, state: State) -> Plan:
        left = state.left
        return Plan(rounds=-(-left // self.size), examples=left, distinct=state.problem.budget)

    def propose(self, state: State) -> Round | None:
        if state.left <= 0 or state.round >= self.rounds:
            return None
        unused = np.flatnonzero(state.uses == 0)
        order = unused[np.argsort(-state.utilities[unused], kind="stable")]
        facts: Mapping[str, Any] = {"arm": state.round % 2, "probabilities": [0.5, 0.5], "seen": state.spent}
        return Round(state.round, order[: min(self.size, state.left)], facts)

    def observe(self, state: State, round: Round, observation: Observation) -> State:
        seen = measured(state, round, observation)
        drop = float(np.mean(state.utilities[seen.places] - seen.losses))
        return replace(after(state, round, seen, utilities=seen.losses), facts={"reward": drop})
