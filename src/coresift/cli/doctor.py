"""`coresift doctor`: whether a model's gradients can be had on this machine, and with which settings."""

from pathlib import Path
from typing import Annotated

import typer


def doctor(
    model: Annotated[str, typer.Option(help="Folder, Hub id, or `world`.")] = "world",
    pool: Annotated[Path | None, typer.Option(metavar="FILE", help="Of the examples; default: embedded.")] = None,
    examples: Annotated[int, typer.Option(min=2, help="How many, at random.")] = 12,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16, float16, or auto: float32 on a CPU.")] = "auto",
    rank: Annotated[int, typer.Option(min=1, help="Of the adapter.")] = 16,
) -> None:
    """Load a model, compare its gradients batched and alone; say which settings agree, what fits, how fast it is."""
    from coresift import world
    from coresift.data.readers import read_pool
    from coresift.data.splits import random_positions
    from coresift.extract.checkup import checkup
    from coresift.models.load import load_tokenizer
    from coresift.models.render import Renderer
    from coresift.models.rendered_pool import render_pool
    from coresift.pipeline.inputs import model_path

    name, found = model_path(model), world.pool() if pool is None else read_pool(pool)
    renderer = Renderer(load_tokenizer(name), max_tokens=2048)
    chosen = sorted(random_positions(len(found), min(examples, len(found)), seed=0, name="doctor"))
    rows = [row for row in render_pool(found.take(chosen), renderer).rows if row is not None]
    checkup(name, rows, renderer, device=device, dtype=dtype, rank=rank)
