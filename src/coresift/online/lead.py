"""LEAD: draw a cluster of similar difficulty, train on its most uncertain examples. Lin et al., 2505.07437.

A bandit draws a cluster; of every task in it, the examples of greatest utility are trained on; the utility is a
smoothed loss, taken from training itself and corrected for what the round has changed; the bandit is rewarded with the
mean drop in utility. Equations, tests and deviations: docs/methods/lead.md.
"""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from coresift.bandits.exp3 import History, clipped, draw, normalised, probabilities, updated
from coresift.errors import SelectionError
from coresift.line_search.intervals import interval_means
from coresift.online.cells import NONE, Cells, best, divided
from coresift.online.estimates import Memory, learned, of_norms
from coresift.online.utility import smoothed
from coresift.policy import (
    MOST_ROUNDS,
    MOST_USES,
    Measured,
    Observation,
    OnlineProblem,
    Plan,
    Round,
    State,
    after,
    measured,
    start,
)
from coresift.seeds import generator
from coresift.settings import Settings

DECIMALS = 6
"""Of a reward: below a millionth of a nat, rewards differ because utilities are kept in single precision."""


class Lead(Settings):
    """Settings, by the letters of the method's paper where it has them.

    Attributes:
        clusters: K, clusters of difficulty; cluster 0 is the easiest. Each is an arm of the bandit.
        gamma: Exploration of the bandit: every arm that has examples left is drawn with probability gamma / K or more.
        b: Weight of the history in the utility, or auto: the best for the noise and drift seen so far.
        rate: alpha, the part of the eligible examples of each task of the drawn cluster that a round takes.
        least: Examples that a round takes of a task however small it is.
        rounds: Most rounds.
        most_uses: How often one example may be trained on.
        delta: How the utility is corrected for the change of the loss during a round: `first-order` as training
            estimates it per step (right for any optimizer), `paper` from gradient norms (right for SGD), or not.
        reward: The drop in utility `normalised` by its own history, or `plain`.
        invalid: Examples without a difficulty are dropped, or make a cluster of their own, the last one.
    """

    name: ClassVar[str] = "lead"
    clusters: int = Field(7, ge=1)
    gamma: float = Field(0.1, gt=0.0, le=1.0)
    b: Literal["auto"] | Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    rate: float = Field(0.015, gt=0.0, le=1.0)
    least: int = Field(1, ge=1)
    rounds: int = Field(20, ge=1, le=MOST_ROUNDS)
    most_uses: int = Field(4, ge=1, le=MOST_USES)
    delta: Literal["none", "paper", "first-order"] = "first-order"
    reward: Literal["normalised", "plain"] = "normalised"
    invalid: Literal["drop", "own-cluster"] = "drop"

    def init(self, problem: OnlineProblem, seed: int = 0) -> State:
        """The state before the first round; `derived` are the `Cells` of clusters and tasks.

        Raises:
            SelectionError: If difficulties are missing, or take fewer different values than there are clusters.
        """
        cells = self._cells(problem)
        memory = Memory.empty(cells.arms, self.rounds)
        own = {"log_weights": np.zeros(cells.arms), "rewards": np.zeros(3), **memory.arrays}
        return start(self, problem, seed, own=own, derived=cells)

    def plan(self, state: State) -> Plan:
        """Rounds of the mean size that the arms now have, were all their examples new."""
        cells: Cells = state.derived
        sizes = [sum(map(self._quota, map(len, self._eligible(state, arm)))) for arm in range(cells.arms)]
        mean = float(np.mean([size for size in sizes if size > 0] or [0]))
        needed = int(np.ceil(state.left / mean)) if mean > 0 else 0
        rounds = min(needed, self.rounds - state.round)
        return Plan(
            rounds=rounds,
            examples=min(state.left, round(rounds * mean)),
            distinct=min(state.problem.budget, len(cells.order)),
            warning=self._warning(state, needed, mean),
        )

    def propose(self, state: State) -> Round | None:
        """Draw an arm; of each of its tasks take the examples of greatest utility that are not used up."""
        if state.left == 0 or state.round >= self.rounds:
            return None
        chances = probabilities(state.own["log_weights"], self.gamma, self._open(state))
        if not chances.any():
            return None
        arm = draw(chances, self.uniform(state))
        parts = [best(each, state.utilities[each], self._quota(len(each))) for each in self._eligible(state, arm)]
        picks = _within(state, np.concatenate(parts))
        return Round(state.round, picks, {"arm": arm, "probabilities": chances.tolist()})

    def observe(self, state: State, round: Round, observation: Observation) -> State:
        """Renew the utilities of what was trained on and reward the arm with their mean drop."""
        seen = measured(state, round, observation)
        arm, memory = int(round.facts["arm"]), Memory.of(state.own)
        paper, share = of_norms(memory, arm, round.number, observation)
        b = memory.b if self.b == "auto" else self.b
        changes = self._changes(seen, paper, memory.transfer(arm))
        history = state.utilities[seen.places].astype(np.float64)
        utilities = smoothed(history, seen.losses, changes, b)
        weights, rewards, facts = self._rewarded(state, round, history - utilities)
        known = learned(memory, arm, state, seen, observation, paper)
        facts |= {"b": b, "beta": share, "transfer": memory.transfer(arm), "errors": known.rms()}
        facts |= {"change": float(np.mean(changes)) if len(changes) > 0 else None}
        own = {"log_weights": weights, "rewards": rewards, **known.arrays}
        return after(state, round, seen, utilities, own=own, facts=facts)

    def uniform(self, state: State) -> float:
        """The random number in [0, 1) that draws the arm of the next round."""
        return float(generator(state.seed, "lead arm", state.round).random())

    def _cells(self, problem: OnlineProblem) -> Cells:
        if problem.difficulty is None:
            raise SelectionError(f"{self.name} needs the difficulty of every example. Score the pool, or pass them.")
        hard = np.asarray(problem.difficulty, dtype=np.float64)
        usable = np.ones(problem.n, bool) if problem.utilities is None else np.isfinite(problem.utilities)
        valid = usable & np.isfinite(hard)
        if not valid.any():
            raise SelectionError(
                f"none of the {problem.n} examples has both a utility and a difficulty. "
                "Look at the reasons of the scoring."
            )
        arm = np.full(problem.n, NONE, dtype=np.int64)
        arm[valid] = interval_means(hard[valid], self.clusters, name="difficulty").label
        apart = usable & ~valid
        extra = self.invalid == "own-cluster" and bool(apart.any())
        if extra:
            arm[apart] = self.clusters
        groups = None if problem.groups is None else list(problem.groups)
        return divided(arm, self.clusters + extra, groups)

    def _open(self, state: State) -> np.ndarray:
        """Which arms have examples that are not used up."""
        cells: Cells = state.derived
        gone = np.flatnonzero(state.uses >= self.most_uses)
        return cells.sizes > cells.members(gone)

    def _eligible(self, state: State, arm: int) -> list[np.ndarray]:
        """Of each task in an arm, the examples that are not used up."""
        cells: Cells = state.derived
        parts = (each[state.uses[each] < self.most_uses] for each in cells.of_arm(arm))
        return [each for each in parts if len(each) > 0]

    def _quota(self, eligible: int) -> int:
        # What is a whole number in decimals stays one: 0.29 * 100 is 28.999999999999996.
        return min(eligible, max(self.least, int(np.floor(round(self.rate * eligible, 9)))))

    def _changes(self, seen: Measured, paper: float, share: float) -> np.ndarray:
        """The estimated change of each loss; 0 where there is none."""
        if self.delta == "first-order":
            return np.nan_to_num(share * seen.changes, nan=0.0)
        return np.full(len(seen.places), paper if self.delta == "paper" else 0.0)

    def _rewarded(self, state: State, round: Round, drops: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        """Log-weights and history of rewards after a round; both stand still where no loss was measured."""
        weights, rewards, arm = state.own["log_weights"], state.own["rewards"], int(round.facts["arm"])
        facts: dict[str, Any] = {"arm": arm, "measured": len(drops), "reward": None, "scaled_reward": None}
        if len(drops) == 0:
            return weights, rewards, facts
        reward = _reward(drops)
        history = History(int(rewards[0]), float(rewards[1]), float(rewards[2]))
        scaled = normalised(reward, history) if self.reward == "normalised" else clipped(reward)
        now = history.with_reward(reward)
        weights = updated(weights, arm, scaled, round.facts["probabilities"][arm], self.gamma)
        facts |= {"reward": reward, "scaled_reward": scaled}
        return weights, np.array([now.count, now.low, now.high]), facts

    def _warning(self, state: State, needed: int, mean: float) -> str:
        budget, there = state.problem.budget, len(state.derived.order)
        if there < budget:
            return f"the budget is {budget}, but only {there} examples have a utility and a difficulty"
        left = self.rounds - state.round
        if needed > left:
            return (
                f"{left} rounds of about {mean:.0f} examples reach about {state.spent + round(left * mean)} of the "
                f"budget of {budget}: raise rounds to {state.round + needed} or more, or the rate"
            )
        return ""


def _reward(drops: np.ndarray) -> float:
    return round(float(drops.mean()), DECIMALS)


def _within(state: State, picks: np.ndarray) -> np.ndarray:
    """Picks cut to the budget: of those not trained on before, the ones of greatest utility stay."""
    new = np.sort(picks[state.uses[picks] == 0])
    if len(new) <= state.left:
        return picks
    kept = best(new, state.utilities[new], state.left)
    return picks[(state.uses[picks] > 0) | np.isin(picks, kept)]
