"""Any one-shot method as a policy: methods that choose once and methods that choose as they go become comparable."""

from typing import ClassVar

import numpy as np
from pydantic import ConfigDict, Field

from coresift.policy import MOST_ROUNDS, Observation, OnlineProblem, Plan, Round, State, after, measured, start
from coresift.problem import Selector
from coresift.selection import select
from coresift.settings import Settings


class Static(Settings):
    """One selection before the first round, then a round per epoch on all of it.

    Picks that cannot be trained on (their utility is NaN) are left out and not made up for; the plan says so.

    Attributes:
        selector: The one-shot method with its settings.
        epochs: How often the selection is trained on: as many rounds.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)
    name: ClassVar[str] = "static"
    selector: Selector
    epochs: int = Field(1, ge=1, le=MOST_ROUNDS)

    def init(self, problem: OnlineProblem, seed: int = 0) -> State:
        """Select; `derived` is the coreset. Raises SelectionError as `select` does."""
        ids = [str(place) for place in range(problem.n)]
        groups = problem.groups
        coreset = select(self.selector, problem.features, problem.budget, ids=ids, groups=groups, seed=seed)
        return start(self, problem, seed, derived=coreset)

    def plan(self, state: State) -> Plan:
        """The epochs left."""
        kept, budget = int(_usable(state).sum()), state.problem.budget
        short = f"the budget is {budget}, but {self.selector.name} gave {kept} examples that can be trained on"
        rounds = self.epochs - state.round
        warning = short if kept < budget else ""
        return Plan(rounds=rounds, examples=rounds * kept, distinct=kept, warning=warning, repeats=True)

    def propose(self, state: State) -> Round | None:
        """The whole selection, in the order picked; its weights are among the facts."""
        usable = _usable(state)
        if state.round >= self.epochs or not usable.any():
            return None
        weights = state.derived.weights[usable]
        return Round(state.round, state.derived.indices[usable], {"weights": weights.tolist()})

    def observe(self, state: State, round: Round, observation: Observation) -> State:
        """Note the losses; they change nothing."""
        seen = measured(state, round, observation)
        return after(state, round, seen, seen.losses)


def _usable(state: State) -> np.ndarray:
    """Which picks can be trained on."""
    usable: np.ndarray = np.isfinite(state.utilities[state.derived.indices])
    return usable
