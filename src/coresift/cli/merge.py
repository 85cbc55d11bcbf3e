"""`coresift merge`: an adapter folded into its base model."""

from pathlib import Path
from typing import Annotated

import typer


def merge(
    adapter: Annotated[Path, typer.Argument(help="Folder of a trained adapter, e.g. runs/NAME/final/adapter.")],
    model: Annotated[str, typer.Option(help="The base model it was trained on.")],
    out: Annotated[Path, typer.Option(help="Folder for the merged model; must not exist.")],
) -> None:
    """Write the base model with an adapter merged into its weights."""
    from coresift.models.lora import merge_adapter
    from coresift.pipeline.inputs import model_path

    print(f"merged model: {merge_adapter(model_path(model), adapter.expanduser(), out.expanduser())}")
