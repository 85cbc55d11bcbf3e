"""The sets of examples beside the pool: a target, and what is learned already."""

from coresift import world
from coresift.data.pool import Pool
from coresift.data.readers import read_pool
from coresift.data.splits import random_positions
from coresift.errors import DataError, SelectionError
from coresift.features.utilities import OtherSet
from coresift.models.sources import WORLD
from coresift.pipeline.config import FileSettings, SetSettings, TargetSettings
from coresift.problem import Selector

SUBTASK = "subtask"
"""Column of a target that names sub-tasks, unless another is named."""
ANOTHER_DRAW = 1
"""Seed of the embedded pool as a second set: other examples of the same kinds."""


def read_file(settings: FileSettings) -> Pool:
    """The pool that settings name."""
    return read_pool(
        settings.path,
        format=settings.format,
        columns=settings.columns or None,
        split=settings.split,
        join=settings.join,
        skip_bad_rows=settings.skip_bad_rows,
        strict=settings.strict,
    )


def read_set(settings: SetSettings, name: OtherSet, *, seed: int) -> Pool:
    """A second set: the sources asked for, and so many of their examples, in the order of the file.

    Raises:
        DataError: As the reader; if no example is of one of the sources, or there are fewer than asked for.
    """
    whole = world.pool(seed=ANOTHER_DRAW) if settings.path == WORLD else read_file(settings)
    known = {each.source for each in whole}
    absent = [source for source in settings.sources if source not in known]
    if len(absent) > 0:
        raise DataError(
            f"{name}.sources: no example of {settings.named} is of {', '.join(map(repr, absent))}. "
            f"Its sources are {', '.join(sorted(map(repr, known))[:10])}."
        )
    places = [place for place, each in enumerate(whole) if not settings.sources or each.source in settings.sources]
    if settings.examples is not None:
        if settings.examples > len(places):
            raise DataError(
                f"{name}.examples is {settings.examples}, but {settings.named} has {len(places)} to draw from. "
                "Ask for at most as many."
            )
        drawn = random_positions(len(places), settings.examples, seed=seed, name=name)
        places = sorted(places[place] for place in drawn)
    return whole.take(places)


def subtasks_of(target: Pool, settings: TargetSettings) -> tuple[str, ...]:
    """The sub-task of every target example: what its row says, or where no row says any, its source.

    Raises:
        DataError: If no row has the column that is named, some rows lack it, or a value is no name.
    """
    column = settings.subtask or SUBTASK
    values = [target.row(place).get(column) for place in range(len(target))]
    if all(value is None for value in values):
        if settings.subtask is None:
            return tuple(example.source for example in target)
        raise DataError(
            f"target.subtask is {column!r}, but no row of {settings.named} has that column. The first row has "
            f"{', '.join(map(repr, target.row(0)))}."
        )
    for example, value in zip(target, values, strict=True):
        if isinstance(value, bool) or not isinstance(value, str | int) or str(value).strip() == "":
            raise DataError(
                f"{settings.named}: the {column!r} of example {example.id} is {value!r}. Name the sub-task of every "
                "target example by text or a whole number, or of none."
            )
    return tuple(str(value) for value in values)


def refuse_same(pool: Pool, target: Pool) -> None:
    """Raise before hours of work if everything that may be chosen is in the target: nothing is then left to compare.

    Raises:
        DataError: If so.
    """
    wanted = {example.content_key for example in target}
    if all(example.content_key in wanted for example in pool):
        raise DataError(
            f"target: all {len(pool)} examples that could be chosen are in {target.origin or 'it'}, so being like the "
            "target tells none apart. Name examples of the task that are not in the pool."
        )


def refuse_learned(selector: Selector, pool: Pool, existing: Pool) -> None:
    """Raise before hours of work if everything that may be chosen is in the existing set already.

    Every example is then worth no more than its copy there, so with nu = 1 no pick can gain anything.

    Raises:
        SelectionError: If so.
    """
    learned = {example.content_key for example in existing}
    if getattr(selector, "nu", 0.0) >= 1.0 and all(example.content_key in learned for example in pool):
        raise SelectionError(
            f"existing: all {len(pool)} examples that could be chosen are in {existing.origin or 'it'} already, so "
            "with method.nu=1 or more none can add anything. Name the set that was trained on before, without the "
            "pool, or lower method.nu."
        )


def in_words(name: OtherSet, examples: Pool, pool: Pool) -> str:
    """How many examples a second set has, and how many of them may also be chosen."""
    chosen_from = {example.content_key for example in pool}
    both = sum(example.content_key in chosen_from for example in examples)
    shared = f", {both} of them also in the pool" if both > 0 else ""
    return f"{name}: {len(examples)} examples{shared}"
