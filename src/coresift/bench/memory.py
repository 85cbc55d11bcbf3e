"""One whole BRIEF selection on a synthetic pool: both matrices of distances, the search, measures and certificate.

Memory is the peak resident size of this process: the interpreter, torch and the features are in it; `before` is the
peak when the features were there and selection had not begun. On CUDA the peak of the device's memory is given too.
"""

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from coresift.bench import pools
from coresift.bench.entry import positive
from coresift.bench.machine import peak_gib, rate
from coresift.bench.timing import Table, timed
from coresift.budget import Budget
from coresift.coreset import Coreset
from coresift.features.memory import InMemoryFeatures
from coresift.memory import free_memory, parse_memory
from coresift.select import select
from coresift.selectors.brief import Brief
from coresift.submodular.distances import Blend
from coresift.submodular.greedy import cover_all
from coresift.submodular.plan import plan
from coresift.submodular.tiled import Tiled
from coresift.submodular.underway import Cover


def options(parser: argparse.ArgumentParser) -> None:
    """The pool and the budget."""
    parser.add_argument("--n", type=positive, default=20000, help="examples (default %(default)s)")
    parser.add_argument("--dim", type=positive, default=2048, help="width of a feature row (default %(default)s)")
    parser.add_argument("--budget", default="5%", help="as for `coresift select` (default 5%%)")
    parser.add_argument("--memory", default="auto", help="memory beyond the features, such as 3GB (default auto)")
    parser.add_argument("--alpha", type=float, help="one balance instead of the whole search")
    parser.add_argument("--cover", action="store_true", help="the cover alone, without a matrix, in passes of products")
    pools.options(parser)


def measure(asked: argparse.Namespace) -> Iterator[Table]:
    """One selection: repeats belong in processes of their own."""
    method = Brief(dim=asked.dim, alpha=asked.alpha)
    pair = [rows.to(asked.device) for rows in pools.spaces(asked.n, asked.dim, asked.norms, seed=asked.seed)]
    if asked.cover:
        yield cover_alone(pair[0], pair[1], asked)
        return
    features = InMemoryFeatures(dict(zip((method.knowledge, method.following), pair, strict=True)))
    before = peak_gib()

    def facts(chosen: Coreset) -> Mapping[str, Any]:
        said = chosen.diagnostics
        known = {"picks": len(chosen), "alphas": len(said["trials"]), "alpha": said["alpha"]}
        known |= {"way": said["distances"]["way"], "bits": said["distances"]["bits"]}
        memory = {"GiB_before": before, "peak_GiB": peak_gib()}
        if asked.device == "cuda":
            memory["peak_device_GiB"] = torch.cuda.max_memory_allocated() / 2**30
        return {**known, "gap": said["certificate"]["gap"], **memory}

    row = timed("BRIEF", lambda: select(method, features, asked.budget, memory=asked.memory), 1, facts)
    yield Table(f"whole selection, n {asked.n}, d {asked.dim}, budget {asked.budget}, {asked.norms} norms", (row,))


def cover_alone(knowledge: torch.Tensor, following: torch.Tensor, asked: argparse.Namespace) -> Table:
    """Greedy picks at one alpha without a matrix, in seconds and in passes of products over both spaces."""
    size, given = Budget.parse(asked.budget).count(asked.n), parse_memory(asked.memory)
    room = plan(asked.n, [asked.dim, asked.dim], free_memory() if given is None else given).pairs
    alpha = 0.5 if asked.alpha is None else asked.alpha

    def work() -> Cover:
        spaces = Tiled.of(knowledge), Tiled.of(following)
        return cover_all([Blend(*spaces, alpha)], size, pairs=room)[0]

    row = timed("cover, no matrix", work, 1, lambda found: {"picks": len(found.order), "head": found.head})
    one = 2.0 * asked.n**2 * asked.dim / (rate(asked.device) * 1e9)
    passes = row.seconds[0] / one
    said = f"a pass of products over both spaces takes {one:.3g} s at the rate measured now: {passes:.2f} passes"
    return Table(f"cover alone, n {asked.n}, d {asked.dim}, alpha {alpha:g}", (row,), (said,))
