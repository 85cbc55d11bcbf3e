"""`coresift warmup | extract | train | evaluate | report RECIPE`: one stage, and what it needs of those before it."""

from collections.abc import Callable

from coresift.cli.options import Overrides, RecipeFile
from coresift.cli.run import carry_out_stage

VERBS = {
    "warmup": "Train LoRA on a random part of the pool.",
    "extract": "Compute what the method needs to know of every example.",
    "select": "Choose the coreset.",
    "train": "Train on the coreset, and on what it is compared with.",
    "evaluate": "Score every trained model on the held-out examples.",
    "report": "Draw the page.",
}


def verb(name: str) -> Callable[..., None]:
    """The command of one stage."""

    def command(recipe: RecipeFile, set: Overrides = None) -> None:
        run_stage(name, recipe, set)

    command.__doc__ = f"{VERBS[name]} Stages before it run first where they are not done."
    return command


def run_stage(name: str, recipe: str, overrides: list[str] | None) -> None:
    """Run one stage of a recipe."""
    from coresift.pipeline.recipes import load_recipe

    resolved = load_recipe(recipe, overrides or ())  # what is wrong with it is said before torch is loaded
    carry_out_stage(name, resolved)
    print(f"{name}: done in {resolved.recipe.folder}")
