"""The one door to selection inside the training loop: a policy proposes a round, sees its losses, proposes the next.

A policy is pure: it trains nothing, opens no file and keeps nothing between calls but the state it is handed.

    state = policy.init(problem, seed)
    while (round := policy.propose(state)) is not None:
        observation = ...  # train on round.indices, note the losses that training computed anyway
        state = policy.observe(state, round, observation)
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from pydantic import BaseModel

from coresift.differences import both_sides
from coresift.errors import SelectionError
from coresift.features.base import Features
from coresift.fingerprints import of_bytes, of_json

MOST_ROUNDS = 65535
"""Rounds that the saved state can count: two bytes per example."""
MOST_USES = 255
"""Uses of one example that the saved state can count: one byte."""
COLUMNS = {"utilities": np.float32, "losses": np.float32, "changes": np.float32, "uses": np.uint8, "last": np.uint16}
"""What a state saves per example, 15 bytes in all."""


@dataclass(frozen=True, slots=True, eq=False)
class OnlineProblem:
    """What is known before the first round; what happens later to the arrays given is not seen.

    Attributes:
        n: Number of examples in the pool.
        budget: How many different examples may be trained on, 1 to n.
        utilities: Initial utility of each example in nats per response token; NaN where the example cannot be trained
            on, for example because no response token fits. Such an example is never proposed. None: all zero.
        difficulty: Difficulty of each example, for policies that divide the pool by it; NaN where it has none.
        groups: The task of each example, such as its source; None puts all in one.
        features: Arrays for policies that need them.
        pool: Fingerprint of the pool; a saved state of another pool is refused.

    Raises:
        SelectionError: If a length is not n, or the budget is not between 1 and n.
    """

    n: int
    budget: int
    utilities: np.ndarray | None = None
    difficulty: np.ndarray | None = None
    groups: Sequence[str] | None = None
    features: Features | None = None
    pool: str = ""

    def __post_init__(self) -> None:
        given = {"utilities": self.utilities, "difficulty": self.difficulty, "groups": self.groups}
        for name, values in given.items():
            if values is not None and len(values) != self.n:
                raise SelectionError(f"{len(values)} {name} for {self.n} examples. Pass one per example.")
        if self.n < 1:
            raise SelectionError("the pool is empty. A policy needs at least one example.")
        if not 1 <= self.budget <= self.n:
            raise SelectionError(f"budget {self.budget}: the pool has {self.n} examples. Ask for 1 to {self.n}.")
        for name in ("utilities", "difficulty"):
            if given[name] is not None:
                object.__setattr__(self, name, np.array(given[name], dtype=np.float64))

    @property
    def facts(self) -> dict[str, Any]:
        """What identifies the problem, small and JSON-able."""
        arrays = {"utilities": self.utilities, "difficulty": self.difficulty}
        hashes = {name: "" if values is None else of_bytes(values.tobytes()) for name, values in arrays.items()}
        groups = "" if self.groups is None else of_json(list(self.groups))
        return {"pool": self.pool, "n": self.n, "budget": self.budget, **hashes, "groups": groups}


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """What to train on next.

    Attributes:
        number: 0, 1, 2, …
        indices: Pool positions, all different, in the order picked.
        facts: What the policy says of its choice, for the trace: `arm` and `probabilities` where there are arms.
    """

    number: int
    indices: np.ndarray
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What training on a round gave away.

    Attributes:
        indices: Pool positions in the order trained; of a position that comes twice the last counts.
        losses: Mean negative log-likelihood of each in nats per response token, taken from the forward pass of its
            own training step, so before that step; NaN where it was not measured.
        changes: First-order estimate of how each loss moved from that forward pass to the end of the round: the sum of
            <gradient, parameter change> over its own and the following steps. None: not estimated.
        gradient_norm2: Squared norm of the gradient of a typical step of the round. None: taken from the losses.
        cosine: Cosine between the parameter change of the last round that drew the same arm (before this one) and that
            of the round before this one. None: unknown, taken as 0.
        learning_rate: Mean learning rate of the round's steps.
        steps: Optimizer steps of the round.
    """

    indices: np.ndarray
    losses: np.ndarray
    changes: np.ndarray | None = None
    gradient_norm2: float | None = None
    cosine: float | None = None
    learning_rate: float = 0.0
    steps: int = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a run will be, as far as that can be known before it.

    Attributes:
        rounds: Expected number of rounds still to come.
        examples: Expected number of examples trained on in them, repeats counted.
        distinct: How many different examples the run can reach at most.
        warning: Why the budget may not be met; empty when nothing speaks against it.
        repeats: Whether every round trains on the same examples. How far a run is then counts in rounds, since the
            first of them already spends the budget.
    """

    rounds: int
    examples: int
    distinct: int
    warning: str = ""
    repeats: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Where a run stands between two rounds. Treat the arrays as read-only.

    Attributes:
        problem: What is known before the first round; not saved.
        identity: Problem, policy and seed; a saved state that differs is refused.
        seed: Root of the policy's random choices; each round has a named seed of its own.
        round: Rounds observed so far.
        utilities: Current utility of each example, nats per response token, float32; NaN: never to be proposed.
        losses: Loss of each example when it was last measured, NaN before, float32.
        changes: The raw estimate of how that loss moved in the round of its measurement, NaN where there is none.
        uses: How often each example was trained on, uint8.
        last: Number of the last round that trained on the example plus one, 0 before, uint16.
        own: The policy's own small arrays.
        derived: What `init` worked out from the problem; not saved.
        facts: What the last observation led to, for the trace; not saved.
    """

    problem: OnlineProblem
    identity: Mapping[str, Any]
    seed: int
    round: int
    utilities: np.ndarray
    losses: np.ndarray
    changes: np.ndarray
    uses: np.ndarray
    last: np.ndarray
    own: Mapping[str, np.ndarray] = field(default_factory=dict)
    derived: Any = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spent(self) -> int:
        """How many different examples were trained on."""
        return int(np.count_nonzero(self.uses))

    @property
    def left(self) -> int:
        """How many further examples the budget allows."""
        return self.problem.budget - self.spent

    @property
    def selected(self) -> np.ndarray:
        """Pool positions trained on, in order of their position; `uses[selected]` says how often."""
        return np.flatnonzero(self.uses)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Everything that is saved: 15 bytes per example and little else."""
        text = json.dumps(dict(self.identity), sort_keys=True).encode()
        return {
            "identity": np.frombuffer(text, dtype=np.uint8),
            "round": np.array(self.round),
            **{name: getattr(self, name) for name in COLUMNS},
            **{f"own.{name}": values for name, values in self.own.items()},
        }

    def from_arrays(self, arrays: Mapping[str, np.ndarray]) -> "State":
        """This state as it stood when `arrays` were saved: `policy.init(problem, seed).from_arrays(arrays)`.

        Raises:
            SelectionError: If the arrays are of another pool, problem, policy or seed, or are not a state.
        """
        names = {"identity", "round", *COLUMNS, *(f"own.{name}" for name in self.own)}
        missing = sorted(names - set(arrays))
        if missing:
            raise SelectionError(f"a saved state without {', '.join(missing)}. Start the run in a new folder.")
        saved = json.loads(np.asarray(arrays["identity"], dtype=np.uint8).tobytes())
        if saved != dict(self.identity):
            raise SelectionError(
                "the saved state belongs to another run:\n"
                f"{both_sides(saved, self.identity, holder='the state')}\n"
                "Resume with what the state has, or start in a new folder."
            )
        columns: dict[str, Any] = {name: np.array(arrays[name], dtype=kind) for name, kind in COLUMNS.items()}
        own = {name: np.array(arrays[f"own.{name}"]) for name in self.own}
        return replace(self, round=int(arrays["round"]), own=own, **columns)


@runtime_checkable
class Policy(Protocol):
    """An iterative selection method: frozen settings and pure functions of a state."""

    @property
    def name(self) -> str:
        """The name used in recipes."""
        ...

    def init(self, problem: OnlineProblem, seed: int = 0) -> State:
        """The state before the first round. Raises SelectionError if problem and settings do not fit together."""
        ...

    def plan(self, state: State) -> Plan:
        """How long the run will be from here, and whether the budget can be met."""
        ...

    def propose(self, state: State) -> Round | None:
        """What to train on next; None when the budget is spent or nothing is left to propose."""
        ...

    def observe(self, state: State, round: Round, observation: Observation) -> State:
        """The state after a round was trained. Raises SelectionError if round and observation do not fit the state."""
        ...


def start(
    policy: Policy,
    problem: OnlineProblem,
    seed: int,
    *,
    own: Mapping[str, np.ndarray] | None = None,
    derived: Any = None,
) -> State:
    """The state before the first round, for the `init` of a policy.

    Raises:
        SelectionError: If no example has a utility.
    """
    n = problem.n
    given = np.zeros(n) if problem.utilities is None else problem.utilities
    utilities = np.where(np.isfinite(given), given, np.nan).astype(np.float32)
    if np.isnan(utilities).all():
        raise SelectionError(
            f"none of the {n} examples has a utility (all are NaN or infinite), so there is nothing to train on. "
            "Look at the reasons of the scoring: mostly responses that do not fit the longest length allowed."
        )
    settings = policy.model_dump(mode="json") if isinstance(policy, BaseModel) else {}
    return State(
        problem=problem,
        identity={**problem.facts, "policy": policy.name, "settings": settings, "seed": seed},
        seed=seed,
        round=0,
        utilities=utilities,
        losses=np.full(n, np.nan, np.float32),
        changes=np.full(n, np.nan, np.float32),
        uses=np.zeros(n, np.uint8),
        last=np.zeros(n, np.uint16),
        own=own or {},
        derived=derived,
    )


def check_observation(state: State, round: Round, observation: Observation) -> None:
    """Refuse an observation that is not one of this round in this state.

    Raises:
        SelectionError: If the round is not the next one, lengths differ, or a position is not one of the round.
    """
    if round.number != state.round:
        raise SelectionError(f"round {round.number} observed after {state.round} rounds. Observe each round once.")
    if state.round >= MOST_ROUNDS:
        raise SelectionError(f"{state.round} rounds: a state counts {MOST_ROUNDS} at most. Take larger rounds.")
    size = len(observation.indices)
    for name in ("losses", "changes"):
        values = getattr(observation, name)
        if values is not None and len(values) != size:
            raise SelectionError(f"{len(values)} {name} for {size} observed examples. Pass one per example.")
    foreign = np.setdiff1d(observation.indices, round.indices)
    if len(foreign) > 0:
        raise SelectionError(f"round {round.number}: example {foreign[0]} was observed but not proposed.")


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """The part of an observation that can be used: each example once, as seen last, its loss finite.

    Attributes:
        places: Pool positions, rising.
        losses: Nats per response token, float64.
        changes: First-order estimates of their changes, float64, NaN where there is none.
    """

    places: np.ndarray
    losses: np.ndarray
    changes: np.ndarray


def measured(state: State, round: Round, observation: Observation) -> Measured:
    """What an observation of this round says.

    Raises:
        SelectionError: If round, observation and state do not fit together.
    """
    check_observation(state, round, observation)
    losses = np.asarray(observation.losses, np.float64)
    changes = np.full(len(losses), np.nan)
    if observation.changes is not None:
        changes = np.asarray(observation.changes, np.float64)
    usable = np.flatnonzero(np.isfinite(losses))[::-1]
    places, first = np.unique(np.asarray(observation.indices, np.int64)[usable], return_index=True)
    rows = usable[first]
    return Measured(places, losses[rows], np.where(np.isfinite(changes[rows]), changes[rows], np.nan))


def after(state: State, round: Round, seen: Measured, utilities: np.ndarray | None = None, **more: Any) -> State:
    """The state after a round: uses counted, losses noted, and `utilities` of the examples measured where given.

    An example that was proposed counts as used whether or not its loss was measured.
    """
    columns: dict[str, Any] = {name: getattr(state, name).copy() for name in COLUMNS}
    columns["uses"][round.indices] += columns["uses"][round.indices] < MOST_USES
    columns["last"][round.indices] = round.number + 1
    columns["losses"][seen.places] = seen.losses
    columns["changes"][seen.places] = seen.changes
    if utilities is not None:
        columns["utilities"][seen.places] = utilities
    return replace(state, round=state.round + 1, **columns, **more)
