"""Loss per round: train on the examples of greatest loss as last measured; no clusters, no bandit, no smoothing."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from coresift.online.cells import best
from coresift.online.portions import Portions
from coresift.policy import MOST_USES, Observation, OnlineProblem, Round, State, after, measured, start


class LossPerRound(Portions):
    """Every round takes the examples of greatest loss in the whole pool; those trained on may come again.

    Examples that come again do not count towards the budget, so there may be more rounds than the budget is divided
    into; it ends at the latest when every example that can be reached is used up.

    Attributes:
        most_uses: How often one example may be trained on.
    """

    name: ClassVar[str] = "loss-per-round"
    most_uses: int = Field(4, ge=1, le=MOST_USES)

    def init(self, problem: OnlineProblem, seed: int = 0) -> State:
        """The state before the first round."""
        return start(self, problem, seed)

    def propose(self, state: State) -> Round | None:
        """The portion of greatest utility among examples that are not used up."""
        places = np.flatnonzero(np.isfinite(state.utilities) & (state.uses < self.most_uses))
        if state.left == 0 or len(places) == 0:
            return None
        size = min(state.left, int(np.ceil(state.problem.budget / self.rounds)))
        return Round(state.round, best(places, state.utilities[places], size))

    def observe(self, state: State, round: Round, observation: Observation) -> State:
        """The measured loss is the new utility."""
        seen = measured(state, round, observation)
        return after(state, round, seen, seen.losses)
