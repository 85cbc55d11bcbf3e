"""One whole BRIEF selection on a synthetic pool: both matrices of distances, the search, measures and certificate.

Memory is the peak resident size of this process: the interpreter, torch and the features are in it; `before` is the
peak when the features were there and selection had not begun. With --device cuda the features stay in main memory, what
distances are computed from is on the GPU, and the peak of its memory is given too.
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
from coresift.selection import select
from coresift.selectors.brief import Brief
from coresift.submodular.cover.greedy import cover_all
from coresift.submodular.cover.lazy import Cover
from coresift.submodular.cover.plan import plan
from coresift.submodular.distances.products import NOISE
from coresift.submodular.distances.stored import Blend
from coresift.submodular.distances.tiled import Tiled


def options(parser: argparse.ArgumentParser) -> None:
    """The pool and the budget."""
    parser.add_argument("--n", type=positive, default=20000, help="examples (default %(default)s)")
    parser.add_argument("--dim", type=positive, default=2048, help="width of a feature row (default %(default)s)")
    parser.add_argument("--budget", default="5%", help="as for `coresift select` (default 5%%)")
    parser.add_argument("--memory", default="auto", help="memory beyond the features, such as 3GB (default auto)")
    parser.add_argument("--alpha", type=float, help="one balance instead of the whole search")
    parser.add_argument(
        "--precision",
        choices=tuple(NOISE),
        default="highest",
        help="of float32 products, as torch calls it: high allows TF32 on a GPU (default %(default)s)",
    )
    parser.add_argument("--cover", action="store_true", help="the cover alone, without a matrix, in passes of products")
    pools.options(parser)


def measure(asked: argparse.Namespace) -> Iterator[Table]:
    """One selection: repeats belong in processes of their own."""
    torch.set_float32_matmul_precision(asked.precision)
    method = Brief(dim=asked.dim, alpha=asked.alpha)
    pair = pools.spaces(asked.n, asked.dim, asked.norms, seed=asked.seed)
    if asked.cover:
        yield cover_alone(pair[0], pair[1], asked)
        return
    before, features = peak_gib(), InMemoryFeatures(dict(zip((method.knowledge, method.following), pair, strict=True)))

    def facts(chosen: Coreset) -> Mapping[str, Any]:
        said = chosen.diagnostics
        known = {"picks": len(chosen), "alphas": len(said["trials"]), "alpha": said["alpha"]}
        known |= {"way": said["distances"]["way"], "bits": said["distances"]["bits"]}
        return {**known, "gap": said["certificate"]["gap"], **_peaks(before, asked.device)}

    def work() -> Coreset:
        return select(method, features, asked.budget, memory=asked.memory, device=asked.device)

    row = timed("BRIEF", work, 1, facts)
    yield Table(f"whole selection, n {asked.n}, d {asked.dim}, budget {asked.budget}, {asked.norms} norms", (row,))


def cover_alone(knowledge: torch.Tensor, following: torch.Tensor, asked: argparse.Namespace) -> Table:
    """Greedy picks at one alpha without a matrix, in seconds and in passes of products over both spaces."""
    size, given = Budget.parse(asked.budget).count(asked.n), parse_memory(asked.memory)
    device = torch.device(asked.device)
    room = plan(asked.n, [asked.dim] * 2, free_memory(device) if given is None else given, device.type).pairs
    alpha, before = 0.5 if asked.alpha is None else asked.alpha, peak_gib()

    def work() -> Cover:
        spaces = Tiled.of(knowledge, device=device), Tiled.of(following, device=device)
        return cover_all([Blend(*spaces, alpha)], size, pairs=room)[0]

    def facts(found: Cover) -> Mapping[str, Any]:
        made = {"picks": len(found.order), "head": found.head, "passes": _passes(found)}
        return {**made, **_peaks(before, asked.device)}

    row = timed("cover, no matrix", work, 1, facts)
    one, done = 2.0 * asked.n**2 * asked.dim / (rate(asked.device) * 1e9), row.facts["passes"]
    took = row.seconds[0] / one
    said = (
        f"a pass of products over both spaces takes {one:.3g} s at the rate measured now: {done} passes in the time of "
        f"{took:.2f}, {100.0 * done / took:.0f} % of that rate over the whole run"
    )
    return Table(f"cover alone, n {asked.n}, d {asked.dim}, alpha {alpha:g}", (row,), (said,))


def _passes(found: Cover) -> int:
    """Sums, and the first gains and lists; lists alone where they were made at once, and none where they never were."""
    return 3 if found.head > 1 else 2


def _peaks(before: float, device: str) -> dict[str, float]:
    peaks = {"GiB_before": before, "peak_GiB": peak_gib()}
    if device == "cuda":
        peaks["peak_device_GiB"] = torch.cuda.max_memory_allocated() / 2**30
    return peaks
