"""How the baselines divide the budget: as many rounds as asked for, of nearly equal size."""

import numpy as np
from pydantic import Field

from coresift.policy import MOST_ROUNDS, Plan, State
from coresift.settings import Settings


class Portions(Settings):
    """Attributes:
    rounds: Rounds that the budget is divided into.
    """

    rounds: int = Field(12, ge=1, le=MOST_ROUNDS)

    def portion(self, state: State) -> int:
        """How many different examples the next round may train on: what is left, divided among the rounds left."""
        return int(np.ceil(state.left / max(1, self.rounds - state.round)))

    def plan(self, state: State) -> Plan:
        """The rounds left, and whether there are enough examples."""
        there, budget = int(np.isfinite(state.utilities).sum()), state.problem.budget
        short = f"the budget is {budget}, but only {there} examples have a utility" if there < budget else ""
        left = max(0, min(there, budget) - state.spent)
        rounds = min(left, max(1, self.rounds - state.round))
        return Plan(rounds=rounds, examples=left, distinct=min(there, budget), warning=short)
