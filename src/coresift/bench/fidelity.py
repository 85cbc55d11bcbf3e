"""What cheaper gradients keep of the whole ones: distances, neighbours, and the coreset that is chosen by them.

The whole gradient has every weight of the warmed-up model and no projection. Against it, and against `of: lora`:

    distance error   |d' / (s d) - 1| over all pairs, d' the cheap distance and s the scale that fits best; median
    rank             Spearman's correlation of the distances of one example to all others, mean over examples
    objective        the sum of distances to the nearest pick, in the reference space, of greedy picks in the cheap
                     space, over that of greedy picks in the reference space; minus 1
    overlap          share of the same picks

`random` are as many picks at random: their objective says how much there is to lose.
"""

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coresift import world
from coresift.bench.entry import positive
from coresift.bench.exact_gradients import SPACES, exact_rows
from coresift.bench.timing import Row, Table, timed
from coresift.budget import Budget
from coresift.data.readers import read_pool
from coresift.data.splits import random_positions
from coresift.extract.maps import blocks_of
from coresift.extract.run import GradientExtractor
from coresift.features.specs import GradientSpec, Loss
from coresift.models.load import load_model, load_tokenizer
from coresift.models.lora import LoraSettings, load_adapter
from coresift.models.render import Rendered, Renderer
from coresift.models.rendered_pool import render_pool
from coresift.seeds import generator
from coresift.submodular.cover.greedy import cover
from coresift.submodular.distances.stored import pairwise
from coresift.training.checkpoints import Checkpoint
from coresift.training.settings import TrainSettings
from coresift.training.trainer import train

Rows = Mapping[Loss, Tensor]


def options(parser: argparse.ArgumentParser) -> None:
    """The model, its warm-up, and the examples."""
    parser.add_argument("--model", default=str(world.model_path()), help="folder or Hub id (default: the embedded one)")
    parser.add_argument("--pool", type=Path, metavar="FILE", help="default: the embedded pool")
    parser.add_argument("--examples", type=positive, default=256, help="that are looked at (default %(default)s)")
    parser.add_argument("--warm-up", type=positive, default=256, help="others, trained on once (default %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="of the warm-up (default %(default)s)")
    parser.add_argument("--rank", type=positive, default=16, help="of the adapter (default %(default)s)")
    parser.add_argument("--max-tokens", type=positive, default=512, help="longer ones are left out (default 512)")
    parser.add_argument("--dim", type=positive, default=8192, help="width of a row (default %(default)s)")
    parser.add_argument("--budget", default="5%", help="picks (default 5%%)")
    parser.add_argument("--batch-tokens", type=positive, default=4096, help="as in recipes (default %(default)s)")
    parser.add_argument("--whole-room", type=positive, default=2048, help="MiB of whole gradients held at once")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")


def measure(asked: argparse.Namespace) -> Iterator[Table]:
    """One table per reference and space."""
    renderer = Renderer(load_tokenizer(asked.model), max_tokens=asked.max_tokens)
    rows, others = _rows(asked, renderer)
    size = Budget.parse(asked.budget).count(len(rows))
    with tempfile.TemporaryDirectory() as scratch:
        settings = TrainSettings(
            lora=LoraSettings(rank=asked.rank, alpha=2 * asked.rank, dropout=0.0),
            epochs=1,
            learning_rate=asked.learning_rate,
            batch_size=16,
            micro_batch_size=4,
            weighting="none",
        )
        warm = train(asked.model, others, out=Path(scratch) / "warm-up", settings=settings, device=asked.device)
        found = {name: _cheap(asked, renderer, warm, rows, fields) for name, fields in _passes(asked).items()}
        whole = _model(asked, renderer, warm, "float32", of="head")
        exact = exact_rows(whole, rows, room=asked.whole_room << 20)
    loss = f"warm-up loss {warm.summary['loss_first']:.3f} -> {warm.summary['loss_last']:.3f}"
    references = {"the whole gradient": exact, "of: lora": found["lora"][1]}
    for reference, truth in references.items():
        for space in SPACES:
            compared = [
                Row(name, row.seconds, compare(made[space], truth[space], size))
                for name, (row, made) in found.items()
                if not (reference == "of: lora" and name == "lora")
            ]
            kind = f"{space} gradients of {len(rows)} examples against {reference}, {size} picks"
            yield Table(kind, (*compared, Row("random", (0.0,), at_random(truth[space], size))), (loss,))


def _rows(asked: argparse.Namespace, renderer: Renderer) -> tuple[list[Rendered], list[Rendered]]:
    """The examples looked at, and others for the warm-up."""
    pool = world.pool() if asked.pool is None else read_pool(asked.pool)
    wanted = min(2 * (asked.examples + asked.warm_up), len(pool))
    chosen = random_positions(len(pool), wanted, seed=0, name="bench")
    rows = [row for row in render_pool(pool.take(chosen), renderer).rows if row is not None]
    return rows[: asked.examples], rows[asked.examples :][: asked.warm_up]


def _passes(asked: argparse.Namespace) -> dict[str, dict[str, Any]]:
    last = f"last-{-(-len(blocks_of(load_model(asked.model))) // 4)}"
    return {
        "lora": {},
        "lora, last quarter": {"layers": last},
        "head": {"of": "head"},
        "linear": {"of": "linear"},
        "linear, last quarter": {"of": "linear", "layers": last},
        "lora, bfloat16": {"dtype": "bfloat16"},
        "head, bfloat16": {"of": "head", "dtype": "bfloat16"},
    }


def _cheap(
    asked: argparse.Namespace, renderer: Renderer, warm: Checkpoint, rows: Sequence[Rendered], fields: dict[str, Any]
) -> tuple[Row, Rows]:
    extractor = _model(asked, renderer, warm, fields.get("dtype", "float32"), of=fields.get("of", "lora"))
    specs = {space: GradientSpec(loss=space, dim=asked.dim, **fields) for space in SPACES}
    projections, kept = extractor.projections(specs.values()), {}

    def work() -> None:
        kept.update(extractor.gradients(rows, list(specs.values()), projections))

    row = timed("", work, 1)
    return row, {space: kept[spec].cpu() for space, spec in specs.items()}


def _model(
    asked: argparse.Namespace, renderer: Renderer, warm: Checkpoint, dtype: str, *, of: str
) -> GradientExtractor:
    """As a run loads it: untuned for linear maps, the adapter folded in for the head."""
    model: Any = load_model(asked.model, dtype=dtype, device=asked.device)
    if of != "linear":
        assert warm.adapter is not None
        model = load_adapter(model, warm.adapter)
        model = model.merge_and_unload().eval() if of == "head" and dtype == "float32" else model.to(model.dtype)
    return GradientExtractor(model, renderer.start_token, renderer.pad_token, batch_tokens=asked.batch_tokens)


def compare(cheap: Tensor, truth: Tensor, size: int) -> dict[str, float]:
    """The measures above, for rows [n, d] of the same examples."""
    near, exact = torch.cdist(cheap.double(), cheap.double()), torch.cdist(truth.double(), truth.double())
    pairs = torch.triu_indices(len(near), len(near), offset=1)
    ratios = (near[*pairs] / exact[*pairs].clamp_min(torch.finfo(torch.float64).tiny)).numpy()
    errors = np.abs(ratios / np.median(ratios) - 1.0)
    ours, theirs = _picks(cheap, size), _picks(truth, size)
    return {
        "distance_error": float(np.median(errors)),
        "95_%_below": float(np.quantile(errors, 0.95)),
        "rank": rank_correlation(near, exact),
        "objective": objective(exact, ours) / objective(exact, theirs) - 1.0,
        "overlap": len(set(ours) & set(theirs)) / size,
    }


def at_random(truth: Tensor, size: int, *, draws: int = 20) -> dict[str, float]:
    """Objective and overlap of picks at random, means over draws."""
    exact, best = torch.cdist(truth.double(), truth.double()), _picks(truth, size)
    drawn = [generator(draw, "fidelity").choice(len(exact), size, replace=False).tolist() for draw in range(draws)]
    lost = [objective(exact, picks) / objective(exact, best) - 1.0 for picks in drawn]
    shared = [len(set(picks) & set(best)) / size for picks in drawn]
    return {"objective": float(np.mean(lost)), "overlap": float(np.mean(shared))}


def objective(distances: Tensor, picks: Sequence[int]) -> float:
    """Sum over all points of the distance to the nearest pick."""
    return float(distances[:, list(picks)].amin(dim=1).sum())


def rank_correlation(one: Tensor, two: Tensor) -> float:
    """Mean over rows of Spearman's correlation of two [n, n] distances, the point itself left out."""
    n = len(one)
    others = ~torch.eye(n, dtype=torch.bool)
    ranks = [each[others].view(n, n - 1).argsort(dim=1).argsort(dim=1).double() for each in (one, two)]
    centred = [each - (n - 2) / 2 for each in ranks]
    return float((torch.linalg.vecdot(*centred) / torch.linalg.vecdot(centred[0], centred[0])).mean())


def _picks(rows: Tensor, size: int) -> list[int]:
    return [int(pick) for pick in cover(pairwise(rows.float()), size).order]
