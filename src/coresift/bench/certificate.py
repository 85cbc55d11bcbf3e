"""How far a certificate comes: the gap after so many steps of its ascent, on synthetic rows or on a run's gradients.

With --run FOLDER the knowledge and following gradients stored there are taken as they are; else a synthetic pool. The
gap says that no subset of the same size can be better by more. The last row counts every pair that any step could use,
with more steps than a selection takes: what is left there is not for want of steps.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from coresift.bench import pools
from coresift.bench.entry import positive
from coresift.bench.timing import Row, Table, timed
from coresift.budget import Budget
from coresift.errors import SettingsError
from coresift.features.store import FeatureArray
from coresift.submodular.cover.certificate import Certificate, certify
from coresift.submodular.cover.greedy import cover
from coresift.submodular.distances.stored import Blend, pairwise

STEPS = 0, 50, 100, 200, 400
LONG = 2000
"""Steps of the last row."""


def options(parser: argparse.ArgumentParser) -> None:
    """The rows, the budget, the balance."""
    parser.add_argument("--run", type=Path, metavar="FOLDER", help="take the gradients of this run folder")
    parser.add_argument("--n", type=positive, default=4000, help="examples, without --run (default %(default)s)")
    parser.add_argument("--dim", type=positive, default=512, help="width, without --run (default %(default)s)")
    parser.add_argument("--budget", default="5%", help="as for `coresift select` (default 5%%)")
    parser.add_argument("--alpha", type=float, default=0.5, help="balance of the two spaces (default %(default)s)")
    pools.options(parser)


def measure(asked: argparse.Namespace) -> Iterator[Table]:
    """One greedy cover, then its certificate after ever more steps."""
    if asked.run is None:
        rows = pools.spaces(asked.n, asked.dim, asked.norms, seed=asked.seed)
        what = f"synthetic, {asked.norms} norms"
    else:
        rows, what = (stored(asked.run, "knowledge"), stored(asked.run, "following")), str(asked.run.name)
    metric = Blend(pairwise(rows[0].to(asked.device)), pairwise(rows[1].to(asked.device)), asked.alpha)
    order = cover(metric, Budget.parse(asked.budget).count(metric.n)).order

    def after(steps: int) -> Row:
        return timed(f"{steps} steps", lambda: certify(metric, order, iterations=steps), 1, _facts)

    def without_limit() -> Certificate:
        return certify(metric, order, iterations=LONG, pairs=float("inf"))

    measured = [after(steps) for steps in STEPS]
    measured.append(timed(f"{LONG} steps, every pair", without_limit, 1, _facts))
    title = f"certificate, {what}, n {metric.n}, {len(order)} picks, alpha {asked.alpha:g}"
    yield Table(title, tuple(measured))


def stored(run: Path, space: str) -> Tensor:
    """The gradients of one space that a run folder holds (n x d, float32).

    Raises:
        SettingsError: If there is no such folder, or it holds none, or those of several settings.
    """
    if not run.is_dir():
        raise SettingsError(f"--run {run}: no such folder. Name the folder of a finished run, such as runs/NAME.")
    folders = sorted((run / "features").glob(f"{space}-*/manifest.json"))
    if len(folders) != 1:
        raise SettingsError(
            f"--run {run}: {len(folders)} folders of {space} gradients. Name a run of one method that takes both "
            "knowledge and following gradients, such as brief."
        )
    manifest = json.loads(folders[0].read_text(encoding="utf-8"))
    identity = manifest["identity"]
    ids = [str(row) for row in range(identity["rows"])]
    return FeatureArray(folders[0].parent, identity=identity, ids=ids, shard_rows=manifest["shard_rows"]).read()


def _facts(proof: Certificate) -> dict[str, float]:
    return {"gap_%": 100.0 * proof.gap}
