"""Per-example gradients: many examples per backward pass against one by one, and what the projection costs.

Both sides run in this process on the same rows of the embedded world with the same adapter; each figure is the median
of `--repeats` runs with its smallest and largest. Ratios, not seconds, are what to compare across machines.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from coresift import world
from coresift.extract.run import GradientExtractor
from coresift.features.specs import GradientSpec
from coresift.models.batches import collate
from coresift.models.load import load_model, load_tokenizer
from coresift.models.lora import LoraSettings, attach_lora, lora_parameters
from coresift.models.losses import example_losses, token_nll
from coresift.models.render import Rendered, Renderer, render_pool


def one_by_one(extractor: GradientExtractor, rows: list[Rendered]) -> None:
    """The plain way: autograd over the weights, a batch of one, both losses."""
    weights = [weight for _, weight in lora_parameters(extractor.model)]
    for row in rows:
        for kind in ("response", "knowledge"):
            batch = collate([row], kind, start_token=extractor.start_token, pad_token=extractor.pad_token)
            loss = example_losses(token_nll(extractor.model, batch), batch.targets).sum()
            torch.autograd.grad(loss, weights)


def timed(work: Callable[[], object], repeats: int) -> list[float]:
    """Seconds of every repeat, after one run that is not counted."""
    seconds = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return seconds[1:]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    renderer = Renderer(load_tokenizer(world.model_path()), max_tokens=256)
    pool = world.pool().take(range(options.examples))
    rows = [row for row in render_pool(pool, renderer).rows if row is not None]
    model = attach_lora(load_model(world.model_path()), LoraSettings(rank=16, alpha=32, dropout=0.0), seed=0)
    extractor = GradientExtractor(model, renderer.start_token, renderer.pad_token)

    def projected(dim: int) -> Callable[[], object]:
        specs = [GradientSpec(loss=loss, dim=dim) for loss in ("knowledge", "following")]
        projections = extractor.projections(specs)
        return lambda: extractor.gradients(rows, specs, projections)

    alone = timed(lambda: one_by_one(extractor, rows), options.repeats)
    base = statistics.median(alone)
    print(f"{len(rows)} examples, {torch.get_num_threads()} threads, median [least, most] of {options.repeats}")
    for name, seconds in (
        ("one by one, not projected", alone),
        ("batched, projected to 2048", timed(projected(2048), options.repeats)),
        ("batched, projected to 8192", timed(projected(8192), options.repeats)),
    ):
        median = statistics.median(seconds)
        print(f"{name:30s} {median:7.2f} s [{min(seconds):.2f}, {max(seconds):.2f}]   {base / median:5.1f} x")


if __name__ == "__main__":
    main()
