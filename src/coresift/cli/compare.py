"""`coresift compare`: does it pay? Every method and control on one feature cache, in one table."""

from pathlib import Path
from typing import Annotated, Any

import typer

from coresift.cli.last_resort import traced_to
from coresift.cli.options import Overrides
from coresift.errors import SettingsError

LIKE = "compare-small"
"""The recipe that a comparison of one's own pool starts from."""


def compare(
    what: Annotated[
        list[str],
        typer.Argument(metavar="RECIPE|POOL|RUN...", help="A recipe, a pool (with --model), or finished run folders."),
    ],
    model: Annotated[str | None, typer.Option(help="Base model, where a pool is given.")] = None,
    methods: Annotated[str | None, typer.Option(help="Comma-separated names, or all.")] = None,
    budgets: Annotated[str | None, typer.Option(help="Comma-separated budgets.")] = None,
    draws: Annotated[int | None, typer.Option(help="Times everything before training is done again.")] = None,
    training_seeds: Annotated[int | None, typer.Option(help="Trainings of each selection.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; default runs/NAME.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that share the cells.")] = 1,
    set: Overrides = None,
) -> None:
    """Train and score every method and control at equal sizes, several times, and say what is resolved."""
    if len(what) > 1 or (Path(what[0]) / "scores").is_dir():
        _side_by_side([Path(each) for each in what], out)
        return

    from coresift.pipeline.recipes import load_recipe

    overrides = list(set or [])
    named = {"grid.draws": draws, "grid.training_seeds": training_seeds, "out": out}
    overrides += [f"{key}={value}" for key, value in named.items() if value is not None]
    if methods is not None:
        overrides.append(f"grid.methods=[{methods}]")
    if budgets is not None:
        overrides.append(f"grid.budgets=[{', '.join(_quoted(each) for each in budgets.split(','))}]")
    resolved = load_recipe(*_source(what[0], model, overrides))

    from coresift.execution.local import LocalExecutor
    from coresift.execution.processes import ProcessExecutor
    from coresift.pipeline.comparison import Comparison
    from coresift.report.comparison_page import write_comparison
    from coresift.report.comparison_tables import markdown

    folder = Path(resolved.recipe.out or Path("runs") / resolved.recipe.name)
    engine: Any = LocalExecutor() if workers == 1 else ProcessExecutor(workers)
    with traced_to(folder):
        found = Comparison(resolved, folder).execute(engine)
    text = markdown(found)
    (folder / "compare.md").write_text(text, encoding="utf-8")
    page = write_comparison(found, folder / "report")
    print(f"\n{text}\ncomparison: {folder}\npage: {page}")


def _side_by_side(folders: list[Path], out: Path | None) -> None:
    """Finished runs in one table; written where `out` says."""
    from coresift.pipeline.side_by_side import side_by_side
    from coresift.report.comparison_tables import markdown

    text = markdown(side_by_side(folders))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "compare.md").write_text(text, encoding="utf-8")
    print(text)


def _source(given: str, model: str | None, overrides: list[str]) -> tuple[str, list[str]]:
    """The recipe to load and what differs from it."""
    from coresift.pipeline.recipes import shipped_recipes

    if given.endswith((".yaml", ".yml")) or given.removesuffix(".yaml") in shipped_recipes():
        if model is not None:
            raise SettingsError("--model goes with a pool; with a recipe use --set model.path=...")
        return given, overrides
    if model is None:
        raise SettingsError("--model is missing. Usage: coresift compare POOL --model MODEL --methods brief,craig")
    return LIKE, [f"pool.path={given}", f"model.path={model}", *overrides]


def _quoted(budget: str) -> str:
    text = budget.strip()
    try:
        float(text)
    except ValueError:
        return f"'{text}'"
    return text
