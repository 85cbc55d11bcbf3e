"""What a comparison compares: variants of a method, budgets, draws and training seeds, as numbered cells.

A *draw* is everything before training done again under another seed: warm-up, features, selection. A *training seed* is
the same training in another order. Test items are the same in every cell.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from coresift import fingerprints
from coresift.errors import SettingsError
from coresift.features.utilities import other_set
from coresift.pipeline.config import Recipe
from coresift.pipeline.grid_settings import CONTROLS, Grid
from coresift.pipeline.methods import METHODS, parse_method

Weighting = Literal["loss", "sampling", "none"]
BUDGET = str | int | float
LEAST_DRAWS = 3
"""Of random, which everything is compared with."""
NEEDS_MORE = ("deft-ucs", "static", "loss-per-round", "random-per-round")
"""Methods that `all` leaves out: they need an encoder, or are parts and controls of others."""


@dataclass(frozen=True)
class Variant:
    """A method with its settings and how its weights are used.

    Attributes:
        label: Its name in tables; unique within a grid.
        method: As in a recipe.
        weighting: As `train.weighting`.
        control: Whether it is there to compare with.
        steps: "epochs": as many epochs as the recipe says; "steps": as many optimizer steps as the subsets are
            trained for; "fresh": as many epochs, each on another subset of the same size.
    """

    label: str
    method: Mapping[str, Any]
    weighting: Weighting
    control: bool = False
    steps: Literal["epochs", "steps", "fresh"] = "epochs"

    @property
    def slug(self) -> str:
        """A folder-safe name."""
        kept = "".join(mark if mark.isalnum() or mark in "-." else "-" for mark in self.label)
        return f"{kept}-{fingerprints.of_json([self.label, dict(self.method), self.weighting, self.steps])[:6]}"

    @property
    def draws_matter(self) -> bool:
        """Whether another draw gives another subset."""
        return self.method["name"] not in ("full", "longest")


@dataclass(frozen=True)
class Cell:
    """One training of one variant: a numbered piece of work that any process can do from this alone.

    Attributes:
        variant: What chooses.
        budget: As in a recipe.
        draw: From 0.
        training: Training seed, from 0.
        recipe: The whole recipe of the cell, as plain values.
        folder: The run folder of the cell.
    """

    variant: Variant
    budget: BUDGET
    draw: int
    training: int
    recipe: Mapping[str, Any] = field(repr=False)

    @property
    def folder(self) -> str:
        """The cell's run folder."""
        return str(self.recipe["out"])


def variants(recipe: Recipe, grid: Grid) -> list[Variant]:
    """Everything that is compared, methods first, then controls.

    Raises:
        SettingsError: If a method is unknown or two have one label.
    """
    weighting: Weighting = recipe.train.weighting if recipe.train is not None else "none"
    found = [_variant(each, recipe, weighting) for each in _named(recipe, grid)]
    asked = {each.method["name"] for each in found if not each.label_is_own}
    for name in dict.fromkeys(["random", *grid.controls]):
        if name not in asked:
            found += _controls(name, recipe, weighting)
    labels = [each.variant.label for each in found]
    for label in labels:
        if labels.count(label) > 1:
            raise SettingsError(f"grid.methods: two methods are called {label!r}. Give one of them another label.")
    return [each.variant for each in found]


@dataclass(frozen=True)
class _Found:
    variant: Variant
    label_is_own: bool = False

    @property
    def method(self) -> Mapping[str, Any]:
        return self.variant.method


def _named(recipe: Recipe, grid: Grid) -> list[Any]:
    named: list[Any] = []
    for each in grid.methods:
        named += _all(recipe) if each == "all" else [each]
    return named


def _all(recipe: Recipe) -> list[str]:
    """Every method that the recipe has what it needs for: sets beside the pool are what most lack."""
    return [name for name, kind in METHODS.items() if name not in (*NEEDS_MORE, *CONTROLS) and not _lacks(recipe, kind)]


def _lacks(recipe: Recipe, kind: Any) -> bool:
    try:
        wanted = {other_set(spec) for spec in getattr(kind(), "requires", ())} - {None}
    except SettingsError:
        return True
    return any(getattr(recipe, str(name), None) is None for name in wanted)


def _variant(given: Any, recipe: Recipe, weighting: Weighting) -> _Found:
    mapping: dict[str, Any] = {"name": given} if isinstance(given, str) else dict(given)
    label = mapping.pop("label", None)
    own: Weighting = mapping.pop("weighting", weighting)
    method = _with_shared(mapping, recipe)
    if label is None:
        differs = ", ".join(f"{key} {value}" for key, value in mapping.items() if key != "name")
        label = str(mapping.get("name")) + (f" ({differs})" if differs else "")
        label += f", weighting {own}" if own != weighting else ""
    return _Found(Variant(label, method, own), label_is_own="label" in dict(given if isinstance(given, dict) else {}))


def _with_shared(mapping: Mapping[str, Any], recipe: Recipe) -> dict[str, Any]:
    """The method with the dimension and preconditioner of the recipe's own, where it has such settings.

    So all methods look at the same features, which are then computed once.
    """
    name = mapping.get("name")
    known = METHODS.get(str(name))
    fields = set(getattr(known, "model_fields", {}))
    own = recipe.method.model_dump(mode="json") if hasattr(recipe.method, "model_dump") else {}
    if name == recipe.selector.name:
        shared = own
    else:
        shared = {key: own[key] for key in ("dim", "preconditioner") if key in own and key in fields}
    return parse_checked({**shared, **mapping})


def parse_checked(method: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping itself, once it is known to be a method. Raises SettingsError as a recipe does."""
    parse_method(dict(method), "grid.methods")
    return dict(method)


def _controls(name: str, recipe: Recipe, weighting: Weighting) -> list[_Found]:
    if name == "full":
        full = {"name": "full"}
        return [
            _Found(Variant("full", full, "none", control=True)),
            _Found(Variant("full, equal steps", full, "none", control=True, steps="steps")),
        ]
    if name == "length-matched":  # follows from what the first method chooses
        return []
    if name == "random-per-epoch":  # RS2: as many epochs, each on a fresh subset of the same size
        epochs = max(round(recipe.train.epochs), 1) if recipe.train is not None else 1
        fresh = {"name": "random-per-round", "rounds": epochs}
        return [_Found(Variant(name, fresh, "none", control=True, steps="fresh"))]
    # Weights would take back the equal shares, which are the point of a balanced subset.
    return [_Found(Variant(name, {"name": name}, "none", control=True))]


def cells(recipe: Recipe, grid: Grid, folder: str, store: str, of: Sequence[Variant]) -> Iterator[Cell]:
    """The cells of some variants, in an order in which early ones make what later ones find."""
    for draw, budget, variant in itertools.product(range(max(grid.draws, LEAST_DRAWS)), grid.budgets, of):
        draws = max(grid.draws, LEAST_DRAWS) if variant.method["name"] == "random" else grid.draws
        if draw >= (draws if variant.draws_matter else 1):
            continue
        for training in range(grid.training_seeds):
            yield Cell(
                variant, budget, draw, training, _cell_recipe(recipe, variant, budget, draw, training, folder, store)
            )


def _cell_recipe(
    recipe: Recipe, variant: Variant, budget: BUDGET, draw: int, training: int, folder: str, store: str
) -> dict[str, Any]:
    values = recipe.model_dump(mode="json")
    named = str(budget).replace("%", "pc").replace(" ", "-")
    train = {**(values["train"] or {}), "weighting": variant.weighting}
    return {
        **values,
        "name": variant.slug,
        "out": f"{folder}/cells/{variant.slug}/{named}-draw{draw}-training{training}",
        "store": store,
        "seed": recipe.seed + draw,
        "test_seed": recipe.seed if recipe.test_seed is None else recipe.test_seed,
        "training_seed": training,
        "method": dict(variant.method),
        "budget": 1.0 if variant.method["name"] == "full" else budget,
        "train": train,
        "merge": False,
        "compare": {"base": False, "random": 0, "balanced_random": 0, "full": False, "unweighted": False},
    }
