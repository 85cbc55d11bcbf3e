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
from coresift.bench.machine import peak_gib
from coresift.bench.timing import Table, timed
from coresift.coreset import Coreset
from coresift.features.memory import InMemoryFeatures
from coresift.select import select
from coresift.selectors.brief import Brief


def options(parser: argparse.ArgumentParser) -> None:
    """The pool and the budget."""
    parser.add_argument("--n", type=positive, default=20000, help="examples (default %(default)s)")
    parser.add_argument("--dim", type=positive, default=2048, help="width of a feature row (default %(default)s)")
    parser.add_argument("--budget", default="5%", help="as for `coresift select` (default 5%%)")
    parser.add_argument("--memory", default="auto", help="memory beyond the features, such as 3GB (default auto)")
    parser.add_argument("--alpha", type=float, help="one balance instead of the whole search")
    pools.options(parser)


def measure(asked: argparse.Namespace) -> Iterator[Table]:
    """One selection: repeats belong in processes of their own."""
    method = Brief(dim=asked.dim, alpha=asked.alpha)
    pair = [rows.to(asked.device) for rows in pools.spaces(asked.n, asked.dim, asked.norms, seed=asked.seed)]
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
