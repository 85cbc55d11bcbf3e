"""Options that several verbs share."""

from typing import Annotated

import typer

RecipeFile = Annotated[str, typer.Argument(metavar="RECIPE", help="A YAML file, or the name of a shipped recipe.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one setting; may be repeated.")
]
Memory = Annotated[
    str | None, typer.Option(metavar="AMOUNT", help="What selecting may use beyond the features, such as 3GB.")
]


def with_memory(overrides: list[str] | None, memory: str | None) -> list[str]:
    """The overrides, with `--memory AMOUNT` as the setting it is short for."""
    return [*(overrides or []), *([f"memory={memory}"] if memory is not None else [])]
