"""`coresift select`: a coreset of one's own pool in one line, or the select stage of a recipe."""

from pathlib import Path
from typing import Annotated, Any

import typer

from coresift.cli.options import (
    Columns,
    Existing,
    Memory,
    Overrides,
    Split,
    Stage,
    Target,
    columns_of,
    with_memory,
    with_sets,
)
from coresift.cli.run import carry_out_stage
from coresift.errors import SettingsError


def select(
    pool: Annotated[
        list[str], typer.Argument(help="A pool (files, a folder, a Hub id, `world`), or a recipe (RECIPE.yaml).")
    ],
    model: Annotated[str | None, typer.Option(help="Base model: folder, Hub id or `world`.")] = None,
    budget: Annotated[
        list[str] | None,
        typer.Option(help="A count, a fraction, '5%' or '20000 tokens'; may be repeated."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write; new, or of the same command.")] = None,
    method: Annotated[str, typer.Option(help="Selection method.")] = "brief",
    map: Columns = None,
    split: Split = "train",
    skip_bad_rows: Annotated[bool, typer.Option("--skip-bad-rows", help="Leave bad rows out and list them.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse conversations that would have to be mended.")
    ] = False,
    stage: Stage = None,
    target: Target = None,
    existing: Existing = None,
    set: Overrides = None,
    memory: Memory = None,
) -> None:
    """Choose a coreset: what the method needs to know of every example, then selection; no final training."""
    set = with_sets(with_memory(set, memory), stage, target, existing)
    if len(pool) == 1 and (pool[0].endswith((".yaml", ".yml")) or _is_shipped(pool[0])):
        _stage(pool[0], model, out, set)
        return
    if model is None or out is None:
        missing = "--model" if model is None else "--out"
        raise SettingsError(
            f"{missing} is missing. Usage: coresift select POOL --model MODEL --budget 0.05 --out DIR "
            "(or: coresift select RECIPE.yaml)."
        )
    _refuse_method_without_coreset(method)
    reading = {
        "path": pool if len(pool) > 1 else pool[0],
        "columns": columns_of(map),
        "split": split,
        "skip_bad_rows": skip_bad_rows,
        "strict": strict,
    }
    _one_line(_recipe(reading, model, budget or ["0.05"], out, method), set)


def _is_shipped(name: str) -> bool:
    from coresift.pipeline.recipes import shipped_recipes

    return name in shipped_recipes() and not Path(name).exists()


def _refuse_method_without_coreset(method: str) -> None:
    """Raise SettingsError if there is no such method, or it chooses only while a model is trained."""
    from coresift.online import POLICIES
    from coresift.pipeline.methods import refuse_unknown
    from coresift.selectors import SELECTORS

    if method in POLICIES:
        raise SettingsError(
            f"--method {method}: it chooses while the model is trained, and `select` trains no final model. Start from "
            "a recipe that does: coresift run lead-small --set pool.path=FILE"
        )
    refuse_unknown(method, SELECTORS)


def _stage(recipe: str, model: str | None, out: Path | None, overrides: list[str] | None) -> None:
    from coresift.cli.stages import run_stage

    if model is not None or out is not None:
        raise SettingsError(
            "--model and --out go with a pool; with a recipe use --set model.path=... and --set out=..."
        )
    run_stage("select", recipe, overrides)


def _recipe(reading: dict[str, Any], model: str, budgets: list[str], out: Path, method: str) -> dict[str, Any]:
    return {
        "name": "select",
        "out": str(out),
        "pool": {**reading, "held_out": 0},
        "model": {"path": model},
        "warmup": {"least_steps": 10},
        "method": {"name": method},
        "budget": budgets if len(budgets) > 1 else budgets[0],
    }


def _one_line(values: dict[str, Any], overrides: list[str] | None) -> None:
    from coresift.pipeline.recipes import resolve

    resolved = resolve(values, overrides or (), origin="command line")  # said before torch is loaded
    carry_out_stage("report", resolved)
    print(f"coreset: {resolved.recipe.folder / 'coreset.jsonl'}")
