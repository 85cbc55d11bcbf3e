"""Per-example gradients: every kind of pass against bare forward and backward passes of the same batches.

Bare passes compute the gradients of the adapter summed over a batch, as a training step does. Passes take turns, after
one run each that is not counted; `seconds` is CPU time on a CPU, which other programs on the machine change little, and
wall time on a GPU. With --against, the checkout of another build runs its own `of: lora` in the same turns, and a
second table has ratios to that. Every build runs in a process of its own.
"""

import argparse
import dataclasses
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any

import numpy as np
import torch

from coresift import world
from coresift.bench import gradient_worker
from coresift.bench.entry import positive
from coresift.bench.machine import commit_of, rate
from coresift.bench.start import SOURCE, checkout
from coresift.bench.timing import Row, Table
from coresift.data.pool import Pool
from coresift.data.readers import read_pool
from coresift.data.splits import random_positions
from coresift.extract.maps import blocks_of
from coresift.features.specs import GradientSpec
from coresift.features.store import FeatureStore
from coresift.models.load import load_model, load_tokenizer
from coresift.models.render import Rendered, Renderer
from coresift.models.rendered_pool import render_pool

BARE, TODAY, OTHER = "bare passes", "lora", "lora, build compared with"
PASSES: dict[str, dict[str, Any]] = {
    "lora": {},
    "lora, last quarter": {"layers": "last-{quarter}"},
    "head": {"of": "head"},
    "linear": {"of": "linear"},
    "linear, last quarter": {"of": "linear", "layers": "last-{quarter}"},
    "lora, bfloat16": {"dtype": "bfloat16", "load": "bfloat16"},
    "head, bfloat16": {"of": "head", "dtype": "bfloat16", "load": "bfloat16"},
}


HEAD = 64
"""Width of an attention head of a random Llama."""
LLAMA_8B = {
    "vocab_size": 128256,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
}


def options(parser: argparse.ArgumentParser) -> None:
    """The model, the rows and what is compared."""
    parser.add_argument("--model", default=str(world.model_path()), help="folder or Hub id (default: the embedded one)")
    parser.add_argument("--llama", type=shape, metavar="WxLxV", help="a random Llama: width, blocks, vocabulary; or 8b")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of the model")
    parser.add_argument("--pool", nargs="*", type=Path, default=[], metavar="FILE", help="default: the embedded pool")
    parser.add_argument("--examples", type=positive, default=32, help="of each pool, at random (default %(default)s)")
    parser.add_argument("--max-tokens", type=positive, default=1024, help="longer ones are left out (default 1024)")
    parser.add_argument("--repeats", type=positive, default=3, help="of every pass (default %(default)s)")
    parser.add_argument("--dim", type=positive, default=8192, help="width of a row (default %(default)s)")
    parser.add_argument("--rank", type=positive, default=16, help="of the adapter (default %(default)s)")
    parser.add_argument("--batch-tokens", type=positive, default=4096, help="as in recipes (default %(default)s)")
    parser.add_argument("--passes", nargs="+", choices=PASSES, default=list(PASSES)[:5], metavar="NAME", help=_names())
    parser.add_argument("--alone", action="store_true", help="also one by one, by plain autograd")
    parser.add_argument("--memory", action="store_true", help="also predicted and measured peaks, on a CPU")
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="a checkout of the build to compare with")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")


def shape(text: str) -> dict[str, int]:
    """The shape of a random Llama from text such as 512x8x4096, for the options of a benchmark."""
    if text == "8b":
        return LLAMA_8B
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)x([1-9]\d*)", text)
    if found is None or int(found[1]) % HEAD:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxBLOCKSxVOCABULARY, the width a multiple of {HEAD}")
    width, blocks, vocabulary = map(int, found.groups())
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": -(-8 * width // 3 // 32) * 32,
        "num_hidden_layers": blocks,
        "num_attention_heads": width // HEAD,
        "num_key_value_heads": width // HEAD,
    }


def _names() -> str:
    return f"which passes: {', '.join(map(repr, PASSES))} (default: the first five)"


def measure(asked: argparse.Namespace) -> Iterator[Table]:
    """One or two tables per pool, and one of memory."""
    other = None if asked.against is None else checkout(asked.against)
    for name, rows in _rows(asked):
        job = _job(asked, rows)
        yield from _timed(asked, job, rows, name, other)
        if asked.memory:
            yield _memory(job, name, other)


def _rows(asked: argparse.Namespace) -> Iterator[tuple[str, list[Rendered]]]:
    """Name of a pool and a random part of its rows as tokens; those of another vocabulary keep their lengths."""
    renderer = Renderer(load_tokenizer(asked.model), max_tokens=asked.max_tokens)
    pools: dict[str, Pool] = {path.stem: read_pool(path) for path in asked.pool} or {"the embedded pool": world.pool()}
    for name, pool in pools.items():
        chosen = sorted(random_positions(len(pool), min(asked.examples, len(pool)), seed=0, name="bench"))
        rows = [row for row in render_pool(pool.take(chosen), renderer).rows if row is not None]
        if asked.llama is not None:
            words = asked.llama["vocab_size"]
            rows = [dataclasses.replace(row, tokens=tuple(token % words for token in row.tokens)) for row in rows]
        yield name, rows


def _job(asked: argparse.Namespace, rows: Sequence[Rendered]) -> dict[str, Any]:
    blocks = len(blocks_of(load_model(asked.model))) if asked.llama is None else asked.llama["num_hidden_layers"]
    quarter = -(-blocks // 4)
    passes = {name: _filled(PASSES[name], quarter) for name in asked.passes}
    passes |= {BARE: {"bare": True}, **({"one by one": {"alone": True}} if asked.alone else {})}
    return {
        "model": asked.model if asked.llama is None else asked.llama,
        "rows": [[row.id, list(row.tokens), [int(wanted) for wanted in row.response]] for row in rows],
        **{key: getattr(asked, key) for key in ("rank", "dim", "batch_tokens", "device", "dtype")},
        "passes": {**passes, OTHER: {}},
    }


def _filled(fields: dict[str, Any], quarter: int) -> dict[str, Any]:
    return {key: value.format(quarter=quarter) for key, value in fields.items()}


def _timed(
    asked: argparse.Namespace, job: dict[str, Any], rows: Sequence[Rendered], pool: str, other: Path | None
) -> Iterator[Table]:
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as processes:
        job = {**job, "out": scratch}
        here = processes.enter_context(Process(SOURCE, job))
        turns = [(name, here) for name in job["passes"] if name != OTHER]
        if other is not None:
            turns.insert(0, (OTHER, processes.enter_context(Process(other, job))))
        times: dict[str, list[dict[str, float]]] = {name: [] for name, _ in turns}
        for _ in range(asked.repeats + 1):
            for name, process in turns:
                times[name].append(process.ask(f"time {name}"))
        clock = "cpu" if asked.device == "cpu" else "wall"
        made = {name: _row(name, found[1:], clock, rows) for name, found in times.items()}
        tokens = sum(len(row.tokens) + row.n_targets + 1 for row in rows)
        kind = f"{len(rows)} examples of {pool}, {tokens} tokens, both losses"
        ours = [name for name in (BARE, *asked.passes, "one by one") if name in made]
        notes = [f"disk: {_disk(np.load(Path(scratch) / f'{asked.passes[0]}.npy')):,.0f} bytes per example"]
        notes += [_rate_in_words(here, asked, made[asked.passes[0]])]
        yield Table(f"gradients of {kind}", tuple(made[name] for name in ours), tuple(notes))
        if other is not None:
            yield Table(
                f"against {commit_of(other)}: {kind}",
                tuple(made[name] for name in (OTHER, *asked.passes)),
                _same(Path(scratch)) if TODAY in asked.passes else (),
            )


def _rate_in_words(here: "Process", asked: argparse.Namespace, row: Row) -> str:
    reached, there = here.ask(f"flops {row.name}")["flops"] / row.median / 1e9, rate(asked.device, asked.dtype)
    return (
        f"{row.name!r} does {reached:.0f} GFLOP/s, {100 * reached / there:.0f} % of the {there:.0f} that {asked.dtype} "
        "products of square matrices reach now"
    )


def _row(name: str, found: Sequence[dict[str, float]], clock: str, rows: Sequence[Rendered]) -> Row:
    seconds = tuple(each[clock] for each in found)
    return Row(name, seconds, {"ms_per_example": 1000 * median(seconds) / len(rows)})


def _disk(rows: np.ndarray) -> float:
    """Bytes that a store takes per example for the arrays of these rows, [losses, n, dim]."""
    with tempfile.TemporaryDirectory() as scratch:
        store = FeatureStore(Path(scratch), identity={}, ids=[str(place) for place in range(rows.shape[1])])
        for loss, values in zip(gradient_worker.LOSSES, rows, strict=True):
            array = store.array(GradientSpec(loss=loss, dim=rows.shape[2]))
            for shard in array.shards:
                array.write(shard, torch.from_numpy(values[shard.start : shard.stop]))
        return sum(path.stat().st_size for path in Path(scratch).rglob("*.safetensors")) / rows.shape[1]


def _same(scratch: Path) -> tuple[str, ...]:
    """How far the rows of both builds are apart."""
    ours, theirs = (np.load(scratch / f"{name}.npy") for name in (TODAY, OTHER))
    apart = np.linalg.norm(ours - theirs, axis=2) / np.linalg.norm(theirs, axis=2)
    return (f"rows of both builds for {TODAY!r} differ by {apart.max():.1e} of their length at most",)


def _memory(job: dict[str, Any], pool: str, other: Path | None) -> Table:
    """Peaks of a process per pass, against what its build predicts."""
    found = []
    for name in [*job["passes"]]:
        source = other if name == OTHER else SOURCE
        if source is None or name in (BARE, "one by one"):
            continue
        with Process(source, job) as process:
            answer = process.ask(f"memory {name}")
        parts, peak = answer["predicted"], answer["peak"] / 2**20
        predicted, taps = sum(parts.values()) / 2**20, parts.get("tapped inputs", parts.get("tapped activations", 0))
        facts = {"predicted_MiB": predicted, "peak_MiB": peak, "taps_MiB": taps / 2**20}
        found.append(Row(name, (answer["cpu"],), facts))
    return Table(f"peak of a process above its start, one run, {pool}", tuple(found))


class Process:
    """A worker that answers one line with one line.

    Args:
        source: Where its build is.
        job: As `gradient_worker.Worker`.
    """

    def __init__(self, source: Path, job: dict[str, Any]) -> None:
        self._source, self._job = source, job

    def __enter__(self) -> "Process":
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / "job.json"
        path.write_text(json.dumps(self._job), encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(gradient_worker.__file__)), str(path)],
            env={**os.environ, "PYTHONPATH": str(self._source)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def ask(self, command: str) -> dict[str, Any]:
        """The answer to one command. Raises RuntimeError if the process ended instead; it has said why."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(command, file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if line == "":
            raise RuntimeError(f"the process of {self._source} ended at {command!r}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        if error is not None:
            self._process.terminate()
        self._process.wait()
        self._folder.cleanup()
