"""`coresift run`: every stage of a recipe; and how every verb carries out its part of a run."""

from typing import TYPE_CHECKING

from coresift.cli.last_resort import traced_to
from coresift.cli.options import Memory, Overrides, RecipeFile, with_memory

if TYPE_CHECKING:
    from coresift.pipeline.recipes import Resolved


def run(recipe: RecipeFile, set: Overrides = None, memory: Memory = None) -> None:
    """Run every stage of a recipe; what is done is skipped, what was killed goes on."""
    carry_out(recipe, with_memory(set, memory))


def carry_out(recipe: str, overrides: list[str] | None) -> None:
    """Run a recipe and print its table and the path of its page."""
    from coresift import files
    from coresift.pipeline.recipes import load_recipe
    from coresift.report.tables import score_table, unequal_steps

    resolved = load_recipe(recipe, overrides or ())  # what is wrong with it is said before torch is loaded
    carry_out_stage("report", resolved, with_scores=True)
    folder = resolved.recipe.folder
    rows = files.read_object(folder / "scores.json").get("rows", [])
    if len(rows) > 0:
        print(f"\n{score_table(rows)}")
        if warning := unequal_steps(rows):
            print(f"\nwarning: {warning}")
    print(f"\nrun folder: {folder}\npage:       {folder / 'report' / 'index.html'}")


def carry_out_stage(stage: str, resolved: "Resolved", *, with_scores: bool = False) -> None:
    """Carry out one stage and what it needs of those before it; nothing, where nothing has changed since the last time.

    Args:
        stage: A key of `pipeline.whole.STAGES`.
        resolved: The recipe.
        with_scores: Whether `report` comes after every other stage.
    """
    from coresift.pipeline.finished import is_finished, remember

    verb = "run" if with_scores else stage
    if is_finished(resolved, resolved.recipe.folder, verb):
        print(f"nothing has changed since {verb} was done here")
        return

    from coresift.pipeline.runs import Run
    from coresift.pipeline.whole import STAGES, execute

    opened = Run(resolved)
    with traced_to(opened.folder), opened.alone():
        execute(opened) if with_scores else STAGES[stage](opened)
    remember(resolved, opened.folder, verb)
