"""What a run learns about its own losses: how gradients were long, how estimates came true, how losses move.

An example that is trained on again shows how its loss really moved since it was last measured. Against that the
estimates of its change are judged, and by it the first-order ones are scaled.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from coresift.online.utility import best_smoothing, mixed_norm2, mixing, norm2_of_losses, transfer
from coresift.policy import Measured, Observation, State

FIRST_B = 0.1
"""History weight until losses have been seen to move."""
ESTIMATORS = ("none", "paper", "first-order")


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """Attributes:
    norms: Squared gradient norm when each arm was last drawn, NaN before.
    drawn: Number of the last round that drew each arm plus one, 0 before.
    previous: Squared gradient norm of the previous round, NaN before (one number).
    paper: The change of the loss in each round as gradient norms estimate it.
    fit: For each arm, over examples seen again: sum of estimate * realised change, sum of squared estimates.
    moves: Of realised changes: how many, their sum, their sum of squares.
    errors: For each of ESTIMATORS: how many times it was judged, sum of squared errors.
    """

    norms: np.ndarray
    drawn: np.ndarray
    previous: np.ndarray
    paper: np.ndarray
    fit: np.ndarray
    moves: np.ndarray
    errors: np.ndarray

    @classmethod
    def empty(cls, arms: int, rounds: int) -> "Memory":
        """Before the first round."""
        return cls(
            norms=np.full(arms, np.nan),
            drawn=np.zeros(arms, np.int64),
            previous=np.full(1, np.nan),
            paper=np.zeros(rounds),
            fit=np.zeros((arms, 2)),
            moves=np.zeros(3),
            errors=np.zeros((len(ESTIMATORS), 2)),
        )

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> "Memory":
        """What a state holds."""
        return cls(**{each.name: arrays[each.name] for each in fields(cls)})

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """What a state is to hold."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @property
    def b(self) -> float:
        """The history weight that suits the noise and the drift of the losses seen twice so far.

        Between two measurements a loss drifts by the mean of the changes; what is left of them is the noise of two.
        """
        count, total, squares = self.moves
        if count < 2:
            return FIRST_B
        mean = total / count
        return best_smoothing(float(np.sqrt(max(squares / count - mean**2, 0.0) / 2.0)), abs(float(mean)))

    def transfer(self, arm: int) -> float:
        """How much of a first-order estimate is believed to arrive in one arm."""
        return transfer(*map(float, self.fit[arm]))

    def rms(self) -> dict[str, float | None]:
        """Root mean squared error of every estimator so far, in nats per token; None where it was never judged."""
        found = zip(ESTIMATORS, self.errors, strict=True)
        return {name: float(np.sqrt(total / count)) if count > 0 else None for name, (count, total) in found}


def of_norms(memory: Memory, arm: int, number: int, observation: Observation) -> tuple[float, float | None]:
    """Change of the loss in one round, - path * ||mixed gradient||², and the mixture's share of the arm's gradient.

    The gradient is unknown and taken as a mixture of that of the arm's last round and that of the previous round.
    Nothing is known in the first round: the change is 0. When an arm is drawn first, the previous round stands alone.
    """
    previous, last = float(memory.previous[0]), float(memory.norms[arm])
    path = observation.learning_rate * observation.steps
    if np.isnan(previous):
        return 0.0, None
    if np.isnan(last):
        return -path * previous, 0.0
    same = memory.drawn[arm] == number  # the previous round drew this arm too
    cosine = 1.0 if same else float(np.clip(observation.cosine or 0.0, -1.0, 1.0))
    share = mixing(last, previous, cosine)
    return -path * mixed_norm2(last, previous, cosine, share), share


def learned(memory: Memory, arm: int, state: State, seen: Measured, observation: Observation, paper: float) -> Memory:
    """The memory after a round."""
    norm2 = observation.gradient_norm2
    if norm2 is None or not np.isfinite(norm2):
        norm2 = norm2_of_losses(observation.losses, observation.learning_rate * observation.steps)
    norms, drawn, papers = memory.norms.copy(), memory.drawn.copy(), memory.paper.copy()
    norms[arm], drawn[arm], papers[state.round] = norm2, state.round + 1, paper
    judged = _judged(memory, arm, state, seen)
    return replace(judged, norms=norms, drawn=drawn, paper=papers, previous=np.array([norm2]))


def _judged(memory: Memory, arm: int, state: State, seen: Measured) -> Memory:
    """Estimates of examples seen before, against how their losses have moved since."""
    again = np.flatnonzero(np.isfinite(state.losses[seen.places]))
    places = seen.places[again]
    realised = seen.losses[again] - state.losses[places]
    raw = state.changes[places].astype(np.float64)
    guesses = (np.zeros(len(places)), memory.paper[state.last[places] - 1], memory.transfer(arm) * raw)
    known = np.isfinite(raw)
    fit = memory.fit.copy()
    fit[arm] += (raw[known] * realised[known]).sum(), np.square(raw[known]).sum()
    return replace(
        memory,
        fit=fit,
        moves=memory.moves + (len(realised), realised.sum(), np.square(realised).sum()),
        errors=memory.errors + np.array([_squares(guess - realised) for guess in guesses]),
    )


def _squares(errors: np.ndarray) -> tuple[int, float]:
    """How many errors are known, and the sum of their squares."""
    return int(np.isfinite(errors).sum()), float(np.nansum(np.square(errors)))
