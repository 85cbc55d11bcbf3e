"""`coresift merge`: an adapter folded into its base model."""

from pathlib import Path
from typing import Annotated

import typer

from coresift.terminal import say


def merge(
    adapter: Annotated[Path, typer.Argument(help="Folder of a trained adapter, e.g. runs/NAME/final/adapter.")],
    model: Annotated[str, typer.Option(help="The base model it was trained on.")],
    out: Annotated[Path, typer.Option(help="Folder for the merged model; must not exist.")],
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Merge into another model than the adapter was trained on; right only where the weights are the same.",
        ),
    ] = False,
) -> None:
    """Write the base model with an adapter merged into its weights."""
    from coresift.models.lora import merge_adapter
    from coresift.training.checkpoints import Checkpoint

    source = adapter.expanduser()
    if (source.parent / "training.json").is_file():
        _ = Checkpoint(source.parent).adapter  # damaged weights are refused
    say(f"merged model: {merge_adapter(model, source, out.expanduser(), force=force)}")
