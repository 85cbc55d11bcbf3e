"""`coresift run`: every stage of a recipe."""

from coresift.cli.last_resort import traced_to
from coresift.cli.options import Memory, Overrides, RecipeFile, with_memory


def run(recipe: RecipeFile, set: Overrides = None, memory: Memory = None) -> None:
    """Run every stage of a recipe; what is done is skipped, what was killed goes on."""
    carry_out(recipe, with_memory(set, memory))


def carry_out(recipe: str, overrides: list[str] | None) -> None:
    """Run a recipe and print its table and the path of its page."""
    from coresift.pipeline.recipes import load_recipe

    resolved = load_recipe(recipe, overrides or ())  # what is wrong with it is said before torch is loaded

    from coresift.pipeline.runs import Run
    from coresift.pipeline.whole import execute
    from coresift.report.tables import score_table

    opened = Run(resolved)
    with traced_to(opened.folder), opened.alone():
        rows = execute(opened)
    if len(rows) > 0:
        print(f"\n{score_table(rows)}")
    print(f"\nrun folder: {opened.folder}\npage:       {opened.folder / 'report' / 'index.html'}")
