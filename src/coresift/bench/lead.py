"""LEAD: what choosing inside the training loop costs.

policy: seconds per round of proposing and observing, and the weight of the saved state, no model involved.
steps: seconds per optimizer step while a policy listens, against TRL's SFTTrainer on the same rows.
"""

import argparse
from collections.abc import Callable, Iterator

from coresift.bench.entry import positive
from coresift.bench.lead_policy import policy_table
from coresift.bench.lead_steps import steps_table
from coresift.bench.timing import Table


def options(parser: argparse.ArgumentParser) -> None:
    """Which parts, and the size of the pool."""
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS], help="what to measure (default all)")
    parser.add_argument("--n", type=positive, default=600_000, help="examples of the policy's pool (default 600000)")
    parser.add_argument("--budget", type=positive, default=15_000, help="different ones to train on (default 15000)")
    parser.add_argument("--seed", type=int, default=0, help="of pool and policy (default 0)")
    parser.add_argument("--model", metavar="FOLDER", help="for steps (default: the embedded one)")
    parser.add_argument("--steps", type=positive, default=40, help="optimizer steps per repeat (default 40)")
    parser.add_argument("--batch", type=positive, default=8, help="examples per optimizer step (default 8)")
    parser.add_argument("--tokens", type=positive, default=512, help="length of rows for another model (default 512)")
    parser.add_argument("--repeats", type=positive, default=3, help="runs of each trainer, in turns (default 3)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="for steps (default cpu)")


def measure(asked: argparse.Namespace) -> Iterator[Table]:
    """The parts asked for."""
    for part in asked.parts:
        yield from PARTS[part](asked)


def _policy(asked: argparse.Namespace) -> Iterator[Table]:
    yield policy_table(asked.n, asked.budget, asked.seed)


def _steps(asked: argparse.Namespace) -> Iterator[Table]:
    yield steps_table(asked.model, asked.steps, asked.batch, asked.repeats, asked.tokens, asked.device)


PARTS: dict[str, Callable[[argparse.Namespace], Iterator[Table]]] = {"policy": _policy, "steps": _steps}
