"""Options that several verbs share."""

import json
from typing import Annotated

import typer

from coresift.errors import SettingsError

RecipeFile = Annotated[str, typer.Argument(metavar="RECIPE", help="A YAML file, or the name of a shipped recipe.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one setting; may be repeated.")
]
Memory = Annotated[
    str | None, typer.Option(metavar="AMOUNT", help="What selecting may use beyond the features, such as 3GB.")
]
Stage = Annotated[
    str | None, typer.Option(help="Stage of DELIFT: instruction, task (needs --target), continual (needs --existing).")
]
Columns = Annotated[
    list[str] | None, typer.Option("--map", metavar="ROLE=COLUMN", help="Name a column's role; may be repeated.")
]
Split = Annotated[
    str, typer.Option(metavar="NAME", help="Split of a folder or data set, such as test or train[:1000].")
]
Target = Annotated[str | None, typer.Option(metavar="FILE", help="Examples of what the model shall be good at.")]
Existing = Annotated[str | None, typer.Option(metavar="FILE", help="Examples that were trained on already.")]


def columns_of(pairs: list[str] | None) -> dict[str, str]:
    """What `--map` says, role to column. Raises SettingsError."""
    split = [(pair, *pair.partition("=")) for pair in pairs or []]
    for text, role, equals, _ in split:
        if equals == "" or role == "":
            raise SettingsError(f"--map {text}: not of the form role=column. Example: --map response=answer")
    return {role: column for _, role, _, column in split}


def with_sets(overrides: list[str] | None, stage: str | None, target: str | None, existing: str | None) -> list[str]:
    """The overrides, with `--stage`, `--target` and `--existing` as the settings they are short for."""
    short = {"method.stage": stage, "target.path": target, "existing.path": existing}
    return [*(overrides or []), *(f"{key}={json.dumps(value)}" for key, value in short.items() if value is not None)]


def with_memory(overrides: list[str] | None, memory: str | None) -> list[str]:
    """The overrides, with `--memory AMOUNT` as the setting it is short for."""
    return [*(overrides or []), *([f'memory="{memory}"'] if memory is not None else [])]
