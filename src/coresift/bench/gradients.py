"""Per-example gradients: many examples per backward pass against one by one, and what the projection costs.

All rows of the table run in this process on the same examples of the embedded world with the same adapter. Ratios, not
seconds, are what to compare across machines.
"""

import argparse
from collections.abc import Callable, Iterator

import torch

from coresift import world
from coresift.bench.entry import positive
from coresift.bench.timing import Table, timed
from coresift.extract.run import GradientExtractor
from coresift.features.specs import GradientSpec
from coresift.models.batches import collate
from coresift.models.load import load_model, load_tokenizer
from coresift.models.lora import LoraSettings, attach_lora, lora_parameters
from coresift.models.losses import example_losses, token_nll
from coresift.models.render import Rendered, Renderer
from coresift.models.rendered_pool import render_pool


def options(parser: argparse.ArgumentParser) -> None:
    """How many examples, how often, and how wide the projection is."""
    parser.add_argument("--examples", type=positive, default=128, help="rows of the embedded world (default 128)")
    parser.add_argument("--repeats", type=positive, default=3, help="runs of each, after one not counted (default 3)")
    parser.add_argument("--dims", type=positive, nargs="+", default=[2048, 8192], help="widths (default 2048 8192)")


def measure(asked: argparse.Namespace) -> Iterator[Table]:
    """One by one, then batched at every width."""
    extractor, rows = _ready(asked.examples)
    measured = [timed("one by one, not projected", lambda: one_by_one(extractor, rows), asked.repeats, warm=True)]
    for dim in asked.dims:
        work = _batched(extractor, rows, dim)
        measured.append(timed(f"batched, projected to {dim}", work, asked.repeats, warm=True))
    yield Table(f"gradients of {len(rows)} examples, both losses", tuple(measured))


def one_by_one(extractor: GradientExtractor, rows: list[Rendered]) -> None:
    """The plain way: autograd over the weights, a batch of one, both losses."""
    weights = [weight for _, weight in lora_parameters(extractor.model)]
    for row in rows:
        for kind in ("response", "knowledge"):
            batch = collate([row], kind, start_token=extractor.start_token, pad_token=extractor.pad_token)
            loss = example_losses(token_nll(extractor.model, batch), batch.targets).sum()
            torch.autograd.grad(loss, weights)


def _ready(examples: int) -> tuple[GradientExtractor, list[Rendered]]:
    renderer = Renderer(load_tokenizer(world.model_path()), max_tokens=256)
    pool = world.pool()
    found = render_pool(pool.take(range(min(examples, len(pool)))), renderer).rows
    model = attach_lora(load_model(world.model_path()), LoraSettings(rank=16, alpha=32, dropout=0.0), seed=0)
    extractor = GradientExtractor(model, renderer.start_token, renderer.pad_token)
    return extractor, [row for row in found if row is not None]


def _batched(extractor: GradientExtractor, rows: list[Rendered], dim: int) -> Callable[[], object]:
    specs = [GradientSpec(loss=loss, dim=dim) for loss in ("knowledge", "following")]
    projections = extractor.projections(specs)
    return lambda: extractor.gradients(rows, specs, projections)
