"""What a run works on: the pool, its rendering, and which examples may be chosen, scored on, or neither."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from coresift import fingerprints, world
from coresift.budget import Budget
from coresift.data.pool import Pool, SkippedRow
from coresift.data.readers import read_pool
from coresift.data.splits import held_out_groups, random_positions
from coresift.errors import DataError
from coresift.evaluation.scores import HeldOut
from coresift.features.targets import GradientSimilaritySpec, HiddenSimilaritySpec
from coresift.features.utilities import OtherSet
from coresift.models.load import load_tokenizer, max_positions
from coresift.models.packed import PackedRows
from coresift.models.render import Renderer, refuse_longer
from coresift.models.rendered_pool import RenderedPool, render_pool
from coresift.pipeline.cleaning import Cleaning, clean
from coresift.pipeline.config import Recipe, SetSettings
from coresift.pipeline.sets import WORLD, read_file, read_set, refuse_learned, refuse_same, subtasks_of

SHOWN = 5
"""Ids named in a message."""
LONGEST = 2048
"""Tokens of a conversation that is not left out, unless set: most models take more, at a price."""


def model_path(name: str) -> str:
    """The folder or id behind a model name."""
    return str(world.model_path()) if name == WORLD else name


@dataclass(frozen=True)
class Inputs:
    """The inputs of a recipe, read once, on first use.

    Attributes:
        recipe: Names them.
        timed: Counts the time of a stage while it is open.
        render: Renders a pool, or finds it rendered.
        twin: Inputs with the same pool and model, whose pool and rendering serve these too.
    """

    recipe: Recipe
    timed: Callable[[str], AbstractContextManager[None]] = lambda stage: nullcontext()
    twin: "Inputs | None" = None
    render: Callable[[Pool, Renderer], RenderedPool] = render_pool

    @cached_property
    def pool(self) -> Pool:
        """Everything that was read, chosen from or not."""
        if self.twin is not None:
            return self.twin.pool
        settings = self.recipe.pool
        with self.timed("reading"):
            pool = world.pool() if settings.path == WORLD else read_file(settings)
            return pool.without_duplicates() if settings.deduplicate == "drop" else pool

    @cached_property
    def others(self) -> dict[OtherSet, Pool]:
        """The sets beside the pool that the recipe names: `target`, `existing`."""
        named: dict[OtherSet, SetSettings | None] = {"target": self.recipe.target, "existing": self.recipe.existing}
        seed = self.recipe.seed
        return {name: read_set(its, name, seed=seed) for name, its in named.items() if its is not None}

    def refuse_unusable_others(self) -> None:
        """Raise what is wrong with the sets beside the pool before anything is done.

        Raises:
            DataError: As `read_set`, `subtasks_of` and `target_rows`; if the target holds all that may be chosen.
        """
        if "target" in self.others:
            refuse_same(self.chosen_from, self.others["target"])
            _ = self.subtasks
            if any(isinstance(spec, GradientSimilaritySpec | HiddenSimilaritySpec) for spec in self.recipe.required):
                _ = self.target_rows
        if "existing" in self.others:
            refuse_learned(self.recipe.selector, self.chosen_from, self.others["existing"])

    @cached_property
    def subtasks(self) -> tuple[str, ...] | None:
        """The sub-task of every target example; None without a target. Errors as `subtasks_of`."""
        settings = self.recipe.target
        return None if settings is None else subtasks_of(self.others["target"], settings)

    @cached_property
    def target_rows(self) -> PackedRows:
        """The target as tokens.

        Raises:
            DataError: If an example is longer than is allowed or cannot be rendered: a column that is missing would not
                be seen.
        """
        target = self.others["target"]
        found = self.render(target, self.renderer)
        if len(found.faults) > 0:
            fault = next(iter(found.faults.values()))
            raise DataError(
                f"target: {len(found.faults)} of {len(target)} examples cannot be rendered, the first {fault.id!r}: "
                f"{fault.reason} Take them out of the target."
            )
        if len(found.excluded) > 0:
            shown = [repr(target[place].id) for place in found.excluded[:SHOWN]]
            named = ", ".join([*shown, *(["..."] if len(found.excluded) > SHOWN else [])])
            raise DataError(
                f"target: {len(found.excluded)} of {len(target)} examples are longer than {self.limit_in_words}: "
                f"{named}. Raise pool.max_tokens, or take them out of the target."
            )
        return found.at(np.arange(len(target)))

    @cached_property
    def base(self) -> str:
        """The base model's folder or id."""
        return model_path(self.recipe.model.path)

    @cached_property
    def renderer(self) -> Renderer:
        """The base model's tokenizer with its chat template."""
        return Renderer(load_tokenizer(self.base), max_tokens=self.max_tokens, template=self.recipe.model.template)

    @cached_property
    def max_tokens(self) -> int:
        """Longer conversations are left out: `pool.max_tokens`, or what the model takes, but at most `LONGEST`."""
        return self.recipe.pool.max_tokens or min(LONGEST, max_positions(self.base) or LONGEST)

    @property
    def limit_in_words(self) -> str:
        """For example `pool.max_tokens=512`, or `the 1024 tokens that the model takes`."""
        if self.recipe.pool.max_tokens is not None or self.max_tokens == LONGEST:
            return f"pool.max_tokens={self.max_tokens}"
        return f"the {self.max_tokens} tokens that the model takes"

    @cached_property
    def rendered(self) -> RenderedPool:
        """The pool as tokens; examples longer than `max_tokens` are excluded."""
        if self.twin is not None:
            return self.twin.rendered
        rendered = self.render(self.pool, self.renderer)
        if len(rendered.fits) == 0:
            raise DataError(
                f"{self.recipe.pool.named}: all {len(self.pool)} examples are longer than {self.limit_in_words}. "
                "Raise pool.max_tokens, or use a model that takes more."
            )
        return rendered

    @property
    def unrendered(self) -> list[SkippedRow]:
        """Rows that were left out because they cannot be rendered."""
        return [
            SkippedRow(self.pool.number(place), fault.reason, dict(self.pool.row(place)))
            for place, fault in self.rendered.faults.items()
        ]

    @cached_property
    def notes(self) -> list[str]:
        """What was not read or was changed in reading, what the template left out, and what to know about it."""
        facts, shown = self.renderer.facts, self.rendered.notes
        template = [f"template: {facts.template}"] if self.recipe.model.template is not None else []
        dropped = [f"{count} {said}" for said, count in shown.items()]
        return [*self.pool.notes.sentences, *template, *dropped, *facts.warnings]

    def refuse_longer_than_model(self) -> None:
        """Raise DataError if an example that fits `pool.max_tokens` is longer than the model takes."""
        refuse_longer(self.rendered.longest, max_positions(self.base))

    @cached_property
    def held_out_positions(self) -> np.ndarray:
        """Pool positions kept for scoring; empty when the recipe names a test pool or holds nothing out."""
        share = self.recipe.pool.held_out
        fits = np.array(self.rendered.fits)
        if self.recipe.evaluate.test is not None or share == 0:
            return fits[:0]
        size = share if isinstance(share, int) else Budget.parse(share).count(len(fits))
        if size >= len(fits):
            raise DataError(
                f"pool.held_out={share} leaves nothing to choose from: {len(fits)} examples fit. Ask for less."
            )
        groups = self._duplicates_among(fits)
        drawn = held_out_groups(len(fits), size, groups, seed=self._test_seed, name="held-out")
        return np.sort(fits[list(drawn)])

    @property
    def _test_seed(self) -> int:
        return self.recipe.seed if self.recipe.test_seed is None else self.recipe.test_seed

    def _duplicates_among(self, positions: np.ndarray) -> list[list[int]]:
        """Groups of exact duplicates as places among `positions`: a test example leaves no copy behind."""
        place_of = {int(position): place for place, position in enumerate(positions)}
        groups = ([place_of[each] for each in group if each in place_of] for group in self.pool.duplicates)
        return [group for group in groups if len(group) > 1]

    @cached_property
    def cleaning(self) -> Cleaning:
        """Near duplicates and pieces of the test, as far as the recipe looks for them."""
        settings = self.recipe.pool
        if settings.near_duplicates is None and settings.decontaminate is None:
            return Cleaning()
        rest = np.setdiff1d(np.array(self.rendered.fits), self.held_out_positions)
        test = self.held_out if settings.decontaminate is not None else None
        return clean(self.pool, rest, settings, None if test is None else test.pool)

    @cached_property
    def candidates(self) -> np.ndarray:
        """Pool positions that may be chosen, ascending; features have one row for each."""
        rest = np.setdiff1d(np.array(self.rendered.fits), [*self.held_out_positions, *self.cleaning.dropped])
        if len(rest) == 0:
            raise DataError(
                f"nothing is left to choose from: {len(self.cleaning.dropped)} examples are near duplicates or hold a "
                "piece of the test. Look at pool.near_duplicates and pool.decontaminate."
            )
        size = self.recipe.pool.examples
        if size is None:
            return rest
        if size > len(rest):
            raise DataError(
                f"pool.examples is {size}, but {len(rest)} examples can be chosen. Ask for at most as many."
            )
        return np.sort(rest[list(random_positions(len(rest), size, seed=self.recipe.seed, name="examples"))])

    @property
    def not_drawn(self) -> int:
        """How many examples `pool.examples` left out."""
        left_out = len(self.held_out_positions) + len(self.cleaning.dropped)
        return len(self.rendered.fits) - left_out - len(self.candidates)

    @cached_property
    def chosen_from(self) -> Pool:
        """The candidates as a pool of their own."""
        return self.pool.take(self.candidates)

    @cached_property
    def rows(self) -> PackedRows:
        """The candidates as tokens, in order, made as they are looked at."""
        return self.rendered.at(self.candidates)

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """What a coreset says that it was chosen from."""
        return {
            "pool": self.pool.fingerprint,
            "candidates": self.chosen_from.fingerprint,
            "tokens": self.row_identity["tokens"],
        }

    @cached_property
    def row_identity(self) -> dict[str, str]:
        """What depends on the candidates as tokens depends on: neither on their sources nor on the rest of the pool."""
        return {
            "ids": fingerprints.of_json(self.chosen_from.ids),
            "tokens": self.rows.fingerprint,
        }

    @cached_property
    def target_identity(self) -> dict[str, str]:
        """What depends on the target as tokens depends on."""
        return {"target": self.target_rows.fingerprint}

    @cached_property
    def text_identity(self) -> dict[str, str]:
        """What depends on the candidates as text depends on."""
        texts = [example.content_key for example in self.chosen_from]
        return {"ids": fingerprints.of_json(self.chosen_from.ids), "texts": fingerprints.of_json(texts)}

    @property
    def all_fingerprints(self) -> dict[str, str]:
        """The same, and those of the sets beside the pool: what a coreset says it was chosen from."""
        return {**self.fingerprints, **{name: pool.fingerprint for name, pool in self.others.items()}}

    @cached_property
    def tests(self) -> dict[str, HeldOut]:
        """Everything that models are scored on in a comparison: `test`, and `second` where the recipe names one."""
        found = {"test": self.held_out, "second": self._second}
        return {name: its for name, its in found.items() if its is not None}

    @property
    def _second(self) -> HeldOut | None:
        named = self.recipe.evaluate.second
        if named is None:
            return None
        if named == WORLD:
            items = world.test_items_like_the_pool()
            return self._scored_on(Pool([item.example for item in items]), tuple(item.kind for item in items))
        pool = read_pool(named, skip_bad_rows=self.recipe.pool.skip_bad_rows)
        return self._scored_on(pool, ("",) * len(pool))

    @cached_property
    def held_out(self) -> HeldOut | None:
        """What models are scored on, or None."""
        settings = self.recipe.evaluate
        if settings.test == WORLD:
            items = world.test_items()
            return self._scored_on(Pool([item.example for item in items]), tuple(item.kind for item in items))
        if settings.test is not None:
            pool = read_pool(settings.test, skip_bad_rows=self.recipe.pool.skip_bad_rows)
            return self._scored_on(pool, ("",) * len(pool))
        if len(self.held_out_positions) == 0:
            return None
        pool = self.pool.take(self.held_out_positions)
        return self._scored_on(pool, ("",) * len(pool))

    def _scored_on(self, pool: Pool, kinds: tuple[str, ...]) -> HeldOut:
        rendered = self.render(pool, self.renderer)
        fits = list(rendered.fits)
        if len(fits) == 0:
            raise DataError(
                f"all {len(pool)} test examples are longer than {self.limit_in_words}. Raise pool.max_tokens, or use a "
                "model that takes more."
            )
        return HeldOut(
            pool=pool.take(fits),
            rows=tuple(row for row in rendered.rows if row is not None),
            kinds=tuple(kinds[place] for place in fits),
            answers=self.recipe.evaluate.answers or len(self.recipe.evaluate.metrics) > 0,
            max_new_tokens=self.recipe.evaluate.max_new_tokens,
            metrics=tuple(self.recipe.evaluate.metrics),
        )
