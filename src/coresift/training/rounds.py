"""Training whose data a policy chooses round by round: propose, train, observe, until the budget is spent.

One trainer lives through all rounds, so that the optimizer's state and the learning rate go on. After every round a
checkpoint holds model, optimizer, policy state and random state; a run that was killed goes on from the newest whole
one and ends with the same trace.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from coresift import files, fingerprints
from coresift.errors import TrainingError
from coresift.memory import fitting
from coresift.models.load import load_tokenizer, resolve_device
from coresift.models.losses import response_losses
from coresift.models.quiet import quiet
from coresift.models.render import Rendered
from coresift.policy import MOST_ROUNDS, Observation, OnlineProblem, Plan, Policy, Round, State
from coresift.progress import Progress
from coresift.seeds import derive, generator
from coresift.training.build import build_trainer, load_base, rising_steps
from coresift.training.checkpoints import Checkpoint
from coresift.training.observed import ObservedTrainer, ObservingCollator, RoundOrder, Seen
from coresift.training.rates import Rates
from coresift.training.settings import LoopSettings, TrainSettings
from coresift.training.trace import FILE, drop_rounds, plain, read_rounds, write_round, write_trace
from coresift.training.trainer import LESS, PARTS, claim_together, finish, newest, own_randomness, training_inputs

ROUNDS, STATE, DIRECTIONS = "rounds", "state.npz", "directions.safetensors"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Rounds:
    """A finished run.

    Attributes:
        checkpoint: The trained model; its folder also holds trace.parquet and state.npz.
        state: Where the policy ended.
        trace: One record per round; keys as `trace.COLUMNS`.
    """

    checkpoint: Checkpoint
    state: State
    trace: list[dict[str, Any]]


@fitting(LESS)
def train_rounds(
    model: str | Path,
    rows: Sequence[Rendered],
    policy: Policy,
    problem: OnlineProblem,
    *,
    out: str | Path,
    settings: TrainSettings,
    loop: LoopSettings | None = None,
    seed: int = 0,
    device: str = "auto",
    label: str = "training in rounds",
    say: Say = print,
) -> Rounds:
    """Tune a base model on what a policy proposes.

    Every round trains on all of its examples once, so `settings.epochs` does not matter; weights that a policy proposes
    (`facts["weights"]`) reach the loss if `settings.weighting` is `loss`. A finished `out` is returned as it is; an
    unfinished one goes on after its last whole round, bit for bit on one CPU.

    Args:
        model: The base model: folder or Hub id.
        rows: [n] rendered examples, in the order of the problem.
        policy: What chooses.
        problem: What the policy knows at first.
        out: Folder to write: what `trainer.train` writes, trace.parquet and state.npz.
        settings: How to tune.
        loop: How rounds are trained.
        seed: Names the policy's choices, the order inside rounds, the adapters' start and dropout.
        device: cpu, cuda or auto.
        label: What the progress bar says.
        say: Told the plan before training begins.

    Raises:
        SelectionError: If policy and problem do not fit together.
        TrainingError: If `out` belongs to another run, rows and problem differ in size, or as `trainer.train`.
    """
    out, loop = Path(out), loop or LoopSettings()
    if len(rows) != problem.n:
        raise TrainingError(f"{len(rows)} rows for a problem of {problem.n} examples. Pass one row per example.")
    if settings.keep_epochs:
        raise TrainingError("keep_epochs is set, but training in rounds has no epochs. Leave it out.")
    start = policy.init(problem, derive(seed, "policy"))
    inputs = _inputs(model, rows, start, settings, loop, seed, device)
    if claim_together(out, inputs, resolve_device(device)):
        return _read(out, start)
    plan = policy.plan(start)
    for line in plan_in_words(plan, problem, settings):
        say(line)
    with own_randomness(), quiet():
        run = _Loop(rows, policy, start, plan, out, settings, loop, seed, label)
        run.train(model, resolve_device(device), inputs)
    return _read(out, start)


def rounds_inputs(
    model: str | Path,
    rows: Sequence[Rendered],
    policy: Policy,
    problem: OnlineProblem,
    *,
    settings: TrainSettings,
    loop: LoopSettings,
    seed: int,
    device: str = "auto",
) -> dict[str, Any]:
    """Everything that `train_rounds` with the same arguments depends on, as JSON."""
    return _inputs(model, rows, policy.init(problem, derive(seed, "policy")), settings, loop, seed, device)


def _inputs(
    model: str | Path,
    rows: Sequence[Rendered],
    start: State,
    settings: TrainSettings,
    loop: LoopSettings,
    seed: int,
    device: str,
) -> dict[str, Any]:
    inputs = training_inputs(model, rows, settings=settings, seed=seed, device=device)
    return inputs | {"policy": plain(dict(start.identity)), "loop": loop.model_dump(mode="json")}


def plan_in_words(plan: Plan, problem: OnlineProblem, settings: TrainSettings) -> list[str]:
    """How long the run will be, and what may keep it from its budget."""
    lines = [
        f"plan: about {plan.rounds} rounds, {plan.examples} examples trained on for a budget of {problem.budget} "
        f"different ones of {problem.n}, about {planned_steps(plan, settings)} optimizer steps"
    ]
    return [*lines, f"warning: {plan.warning}"] if plan.warning else lines


def planned_steps(plan: Plan, settings: TrainSettings) -> int:
    """About how many optimizer steps a plan takes: a round's last step may hold fewer examples."""
    rounds = max(1, plan.rounds)
    return max(1, rounds * math.ceil(plan.examples / rounds / settings.batch_size))


def _read(out: Path, start: State) -> Rounds:
    with np.load(out / STATE, allow_pickle=False) as saved:
        state = start.from_arrays(dict(saved))
    return Rounds(Checkpoint(out), state, read_rounds(out / ROUNDS))


class _Loop:
    """One run of rounds. Arguments as `train_rounds`, with the plan and the state at the start."""

    def __init__(
        self,
        rows: Sequence[Rendered],
        policy: Policy,
        start: State,
        plan: Plan,
        out: Path,
        settings: TrainSettings,
        loop: LoopSettings,
        seed: int,
        label: str,
    ) -> None:
        self._rows, self._policy, self._state, self._out = rows, policy, start, out
        self._settings, self._loop, self._seed = settings, loop, seed
        self._goal = max(1, min(start.problem.budget, plan.distinct))
        self._epochs = start.round + plan.rounds if plan.repeats else 0
        self._steps = planned_steps(plan, settings)
        self._rates = Rates(loop.schedule, rising=rising_steps(settings, self._steps))
        self._label = label
        self._began, self._before = time.monotonic(), 0.0

    def train(self, model: str | Path, device: Any, inputs: dict[str, Any]) -> None:
        """Train from the newest whole round to the end, then write the result."""
        checkpoint, self._before = newest(self._out / PARTS)
        if checkpoint is not None:
            with np.load(Path(checkpoint) / STATE, allow_pickle=False) as saved:
                self._state = self._state.from_arrays(dict(saved))
        trainer = self._trainer(model, device)
        if trainer.is_world_process_zero():
            drop_rounds(self._out / ROUNDS, self._state.round)
        if checkpoint is not None:
            self._follow(trainer, Path(checkpoint))
        with Progress(self._label, self._goal, unit="examples", begun=self._state.spent) as self._progress:
            trainer.train(resume_from_checkpoint=checkpoint)
        if trainer.is_world_process_zero():
            self._finish(trainer, inputs)
        trainer.accelerator.wait_for_everyone()

    def _trainer(self, model: str | Path, device: Any) -> ObservedTrainer:
        estimate = getattr(self._policy, "delta", "none")
        checked = self._loop.measure > 0

        def make(**kwargs: Any) -> ObservedTrainer:
            kwargs["args"].save_strategy = "no"  # every round saves itself, once the policy has seen it
            kwargs["order"] = RoundOrder(
                [len(row.tokens) for row in self._rows], step_size=self._settings.batch_size, seed=self._seed
            )
            kwargs["data_collator"] = ObservingCollator(self._rows, pad_token=0)
            return ObservedTrainer(
                rates=self._rates,
                most_rounds=MOST_ROUNDS,
                rounds=self._round,
                done=self._state.round,
                first_order=checked or estimate == "first-order",
                directions=checked or estimate == "paper",
                **kwargs,
            )

        trainer = build_trainer(
            load_base(model, self._settings, device),
            load_tokenizer(model),
            self._rows,
            out=self._out / PARTS,
            settings=self._settings,
            weights=np.ones(len(self._rows)),
            seed=self._seed,
            device=device,
            total=self._steps,
            make=make,
        )
        assert isinstance(trainer, ObservedTrainer)
        return trainer

    def _round(self, trainer: ObservedTrainer, number: int) -> bool:
        """One round from its proposal to its checkpoint; False when the policy proposes none."""
        proposal = self._policy.propose(self._state)
        if proposal is None:
            return False
        check_agreement(proposal)
        before = self._state
        spent = before.spent, len(np.union1d(before.selected, proposal.indices))
        far = [part / self._goal for part in spent]
        if self._epochs > 0:
            far = [(number + part) / self._epochs for part in (0, 1)]
        self._rates.begin(
            first=trainer.state.global_step,
            steps=math.ceil(len(proposal.indices) / self._settings.batch_size),
            spent_before=far[0],
            spent_after=far[1],
        )
        weights = proposal.facts.get("weights") if self._settings.weighting == "loss" else None
        seen = trainer.train_round(number, proposal.indices, arm=proposal.facts.get("arm"), weights=weights)
        observation = Observation(
            indices=seen.indices,
            losses=seen.losses,
            changes=seen.changes if getattr(self._policy, "delta", "none") == "first-order" else None,
            cosine=seen.cosine,
            learning_rate=seen.rate,
            steps=seen.steps,
        )
        self._state = self._policy.observe(before, proposal, observation)
        self._save(trainer, self._record(proposal, before, seen, self._measured(trainer, seen)))
        self._progress.reach(self._state.spent)
        return True

    def _measured(self, trainer: ObservedTrainer, seen: Seen) -> dict[str, Any]:
        """How the losses of some examples of the round moved, by measuring them again."""
        size = min(self._loop.measure, len(seen.indices))
        if size == 0:
            return {"measured": [], "realised": []}
        drawn = generator(self._seed, "measured", self._state.round).permutation(len(seen.indices))[:size]
        model: Any = trainer.accelerator.unwrap_model(trainer.model)
        model.eval()
        chosen = [self._rows[int(place)] for place in seen.indices[drawn]]
        with trainer.accelerator.autocast():
            now = response_losses(model, chosen, start_token=0, pad_token=0, label="measuring").numpy()
        return {"measured": seen.indices[drawn], "realised": now - seen.losses[drawn]}

    def _record(self, proposal: Round, before: State, seen: Seen, measured: Mapping[str, Any]) -> dict[str, Any]:
        facts = {**proposal.facts, **self._state.facts}
        own = {name: facts.pop(name, None) for name in ("arm", "probabilities", "reward")}
        return {
            "round": proposal.number,
            **own,
            "ids": [self._rows[int(place)].id for place in seen.indices],
            "indices": seen.indices,
            "losses": seen.losses,
            "changes": seen.changes,
            **measured,
            "utilities_before": before.utilities[seen.indices],
            "utilities": self._state.utilities[seen.indices],
            "learning_rate": seen.rate,
            "steps": seen.steps,
            "cosine": seen.cosine,
            "spent": self._state.spent,
            "facts": facts,
        }

    def _save(self, trainer: ObservedTrainer, record: Mapping[str, Any]) -> None:
        """The round's record, then its checkpoint, then the mark that all is written."""
        from coresift.training.callbacks import MARK

        folder = Path(trainer.save_round())
        if trainer.is_world_process_zero():
            write_round(self._out / ROUNDS, record)
            write_state(folder / STATE, self._state)
            if trainer.directions is not None:
                files.write_tensors(folder / DIRECTIONS, trainer.directions.to_tensors())
            seconds = self._before + time.monotonic() - self._began
            files.write_json(folder / MARK, {"step": trainer.state.global_step, "seconds": seconds})
        trainer.accelerator.wait_for_everyone()

    @staticmethod
    def _follow(trainer: ObservedTrainer, checkpoint: Path) -> None:
        from safetensors.torch import load_file

        if trainer.directions is not None:
            trainer.directions.from_tensors(load_file(checkpoint / DIRECTIONS))

    def _finish(self, trainer: ObservedTrainer, inputs: dict[str, Any]) -> None:
        rounds = read_rounds(self._out / ROUNDS)
        write_trace(self._out / FILE, rounds)
        write_state(self._out / STATE, self._state)
        finish(
            trainer,
            self._rows,
            self._out,
            settings=self._settings,
            inputs=inputs,
            seconds=self._before + time.monotonic() - self._began,
            seen=[place for each in rounds for place in each["indices"]],
        )


def write_state(path: Path, state: State) -> None:
    """Write a policy's state, whole or not at all: at most 16 bytes per example and a little."""
    files.write_arrays(path, state.to_arrays())


def check_agreement(proposal: Round) -> None:
    """Refuse to go on if processes were proposed different examples, each of which would train on its own.

    Raises:
        TrainingError: If so.
    """
    from accelerate.utils import gather_object

    picks = fingerprints.of_bytes(proposal.indices.astype(np.int64).tobytes())
    everyone = gather_object([picks])
    if len(set(everyone)) > 1:
        raise TrainingError(
            f"round {proposal.number}: the processes were proposed different examples ({', '.join(everyone)}). "
            "Give all of them the same pool, settings and seed."
        )
