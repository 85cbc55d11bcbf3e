"""Random per round: one seeded permutation, taken in portions; the baseline every policy has to beat."""

from typing import ClassVar

import numpy as np

from coresift.online.portions import Portions
from coresift.policy import Observation, OnlineProblem, Round, State, after, measured, start
from coresift.seeds import generator


class RandomPerRound(Portions):
    """Every round trains on examples drawn uniformly from those never trained on."""

    name: ClassVar[str] = "random-per-round"

    def init(self, problem: OnlineProblem, seed: int = 0) -> State:
        """The state before the first round; `derived` is the order in which examples come."""
        state = start(self, problem, seed)
        order = generator(seed, self.name).permutation(np.flatnonzero(np.isfinite(state.utilities)))
        return start(self, problem, seed, derived=order)

    def propose(self, state: State) -> Round | None:
        """The next portion of the permutation."""
        picks = state.derived[state.spent : state.spent + self.portion(state)]
        return Round(state.round, picks) if len(picks) > 0 and state.left > 0 else None

    def observe(self, state: State, round: Round, observation: Observation) -> State:
        """Note the losses; they change nothing."""
        seen = measured(state, round, observation)
        return after(state, round, seen, seen.losses)
