"""Rows of a pool rendered to tokens: as before 0.2.0, in batches on one core and on all, and read back from files.

Processes are started anew for every repeat, which takes seconds: they are for pools of more rows than the default.
All repeats take turns, and all give the same tokens and masks, which is checked. `cpu` is user and system time of one
repeat; other programs on the machine change it less than `seconds`, which is what a user waits.
"""

import argparse
import os
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from coresift import world
from coresift.bench.entry import positive
from coresift.bench.spliced import SplicedRenderer
from coresift.bench.timing import Row, Table
from coresift.data.pool import Example, Message, Pool
from coresift.data.readers import read_pool
from coresift.execution.local import LocalExecutor
from coresift.execution.processes import ProcessExecutor, cores
from coresift.models.load import load_tokenizer
from coresift.models.packed import Packed, Packing
from coresift.models.render import Rendered, Renderer
from coresift.models.rendering import BATCH, pack_pool

WORDS = ["the", "a", "of", "tide", "boat", "and", "seven", "is", "grey", "Ann", "12", "3.5", "\u00e9t\u00e9", "(see)"]
PARALLEL = "TOKENIZERS_PARALLELISM"


def options(parser: argparse.ArgumentParser) -> None:
    """What is rendered, with what, how often."""
    parser.add_argument("--pool", metavar="FILE", help="a pool; synthetic rows without one")
    parser.add_argument("--n", type=positive, default=19000, help="synthetic rows (default %(default)s)")
    parser.add_argument("--model", metavar="FOLDER", help="whose tokenizer and chat template; `world` without one")
    parser.add_argument("--repeats", type=positive, default=3, help="of every way (default %(default)s)")
    parser.add_argument("--alone", action="store_true", help="only today's way on all cores, and reading back")


def measure(asked: argparse.Namespace) -> Iterator[Table]:
    """One table: seconds of every way."""
    pool = read_pool(asked.pool) if asked.pool else Pool(synthetic(asked.n))
    tokenizer = load_tokenizer(asked.model or world.model_path())
    renderer, spliced = Renderer(tokenizer, max_tokens=1 << 30), SplicedRenderer(tokenizer)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pack_pool(pool, renderer, LocalExecutor()).save(folder)
        ways: dict[str, Callable[[], Packed]] = {
            "spliced, one by one, as before 0.2.0": lambda: _spliced(pool, spliced),
            "whole, in batches, one core": lambda: _on_one_core(pool, renderer),
            "whole, in batches, all cores": lambda: pack_pool(pool, renderer, LocalExecutor()),
            "whole, one process per core": lambda: pack_pool(pool, renderer, ProcessExecutor(cores())),
            "read back from files": lambda: Packed.load(folder),
        }
        ways = dict(list(ways.items())[2:]) if asked.alone else ways
        turns = [[_spent(way) for way in ways.values()] for _ in range(asked.repeats)]
        found = [packed for _, _, packed in turns[-1]]
    rows = [
        Row(
            way,
            tuple(turn[place][0] for turn in turns),
            {"cpu": min(turn[place][1] for turn in turns), "same_tokens": _same(packed, found[0])},
        )
        for place, (way, packed) in enumerate(zip(ways, found, strict=True))
    ]
    tokens = int(found[0].starts[-1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield Table(
        f"{len(pool):,} rows, {tokens:,} tokens, {os.cpu_count()} cores",
        tuple(rows),
        (f"peak memory of this process {peak:,.0f} MiB, tokenizer, pool and all ways included",),
    )


def synthetic(n: int, seed: int = 0) -> Iterator[Example]:
    """Mixed rows: one to four rounds, some with a system text, answers of 5 to 600 words."""
    draw = random.Random(seed)

    def text(least: int, most: int) -> str:
        words = draw.choices(WORDS, k=int(least * (most / least) ** draw.random()))
        return " ".join(words) + draw.choice([".", "?", "\n\n- " + words[0]])

    for place in range(n):
        turns = [Message("system", text(5, 30))] if draw.random() < 0.2 else []
        for _ in range(draw.choices([1, 2, 3, 4], [8, 1, 1, 1])[0]):
            turns += [Message("user", text(5, 100)), Message("assistant", text(5, 600))]
        yield Example(id=str(place), messages=tuple(turns))


def _spliced(pool: Pool, renderer: SplicedRenderer) -> Packed:
    packing = Packing()
    for example in pool:
        tokens, wanted = renderer.render(example)
        packing.add(Rendered(example.id, tuple(tokens), tuple(wanted)))
    return packing.packed({}, {})


def _on_one_core(pool: Pool, renderer: Renderer) -> Packed:
    before, packing = os.environ.get(PARALLEL), Packing()
    os.environ[PARALLEL] = "false"
    try:
        for begin in range(0, len(pool), BATCH):
            for row in renderer.render_many(pool[begin : begin + BATCH]):
                packing.add(row if isinstance(row, Rendered) else None)
    finally:
        os.environ.pop(PARALLEL)
        os.environ.update({} if before is None else {PARALLEL: before})
    return packing.packed({}, {})


def _spent(way: Callable[[], Packed]) -> tuple[float, float, Packed]:
    began, used = time.perf_counter(), time.process_time()
    packed = way()
    return time.perf_counter() - began, time.process_time() - used, packed


def _same(packed: Packed, other: Packed) -> bool:
    pairs: list[tuple[Any, Any]] = [(packed.tokens, other.tokens), (packed.masks, other.masks)]
    return all(len(left) == len(right) and bool((left == right).all()) for left, right in pairs)
