"""A whole pool as tokens: rendered once, packed, and looked at through a longest length."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from coresift.data.pool import Pool
from coresift.errors import RenderError
from coresift.models.packed import Packed, PackedRows
from coresift.models.render import Rendered, Renderer, RenderFault
from coresift.models.rendering import pack_pool


@dataclass(frozen=True, eq=False)
class RenderedPool:
    """A pool as tokens.

    Attributes:
        packed: All conversations, whatever their length.
        ids: Of the pool.
        max_tokens: Longer conversations are left out, never cut.
    """

    packed: Packed
    ids: tuple[str, ...]
    max_tokens: int

    @property
    def faults(self) -> Mapping[int, RenderFault]:
        """Why conversations cannot be rendered, by pool position, ascending."""
        return self.packed.faults

    @property
    def notes(self) -> Mapping[str, int]:
        """What the template left out or moved in all conversations, counted."""
        return self.packed.notes

    @property
    def fits(self) -> tuple[int, ...]:
        """Pool positions that fit, ascending."""
        return tuple(self._fitting().nonzero()[0].tolist())

    @property
    def excluded(self) -> tuple[int, ...]:
        """Pool positions whose conversations are too long, ascending."""
        return tuple((self.packed.lengths > self.max_tokens).nonzero()[0].tolist())

    @property
    def rows(self) -> tuple[Rendered | None, ...]:
        """One per pool position; None where the conversation does not fit or cannot be rendered."""
        fitting = self._fitting()
        return tuple(self.packed.row(at, id) if fitting[at] else None for at, id in enumerate(self.ids))

    @property
    def targets(self) -> list[int | None]:
        """How many tokens of each conversation are predicted; None where there is no row."""
        fitting = self._fitting()
        counts = self.packed.targets(np.arange(len(self.ids)))
        return [int(count) if fits else None for count, fits in zip(counts, fitting, strict=True)]

    @property
    def longest(self) -> list[Rendered]:
        """The longest row that fits; none where none does."""
        lengths = np.where(self._fitting(), self.packed.lengths, 0)
        place = int(lengths.argmax()) if len(lengths) else 0
        return [self.packed.row(place, self.ids[place])] if len(lengths) and lengths[place] > 0 else []

    def at(self, positions: np.ndarray) -> PackedRows:
        """The rows at pool positions that fit, made as they are looked at."""
        return PackedRows(self.packed, positions, [self.ids[int(position)] for position in positions])

    def _fitting(self) -> np.ndarray:
        lengths = self.packed.lengths
        return (lengths > 0) & (lengths <= self.max_tokens)


def render_pool(pool: Pool, renderer: Renderer, *, skip_bad_rows: bool = False) -> RenderedPool:
    """Render every example; those longer than the renderer's `max_tokens` are left out, never cut.

    Args:
        pool: The examples.
        renderer: Renders them.
        skip_bad_rows: Leave out those that cannot be rendered, and say why in `RenderedPool.faults`.

    Raises:
        RenderError: If examples cannot be rendered and are not to be skipped: how many, and the first by place.
    """
    return seen_as(pool, pack_pool(pool, renderer), renderer.max_tokens, skip_bad_rows=skip_bad_rows)


def seen_as(pool: Pool, packed: Packed, max_tokens: int, *, skip_bad_rows: bool = False) -> RenderedPool:
    """A pool that is packed already, with a longest length. Raises as `render_pool` does, and where all are faults."""
    if packed.faults and (not skip_bad_rows or len(packed.faults) == len(pool)):
        raise RenderError(_told(pool, packed.faults))
    return RenderedPool(packed, pool.ids, max_tokens)


SHOWN = 5
"""How many faults an error names."""


def _told(pool: Pool, faults: Mapping[int, RenderFault]) -> str:
    named = [f"{pool.where(place)}: example {fault.id}: {fault.reason}" for place, fault in faults.items()]
    if len(named) == 1 == len(pool):
        return named[0]
    if len(named) == 1:
        return f"{named[0]} Or leave it out with --skip-bad-rows (pool.skip_bad_rows: true)."
    more = f"\n... and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
    return (
        f"{len(named)} of {len(pool)} examples cannot be rendered:\n"
        + "\n".join(named[:SHOWN])
        + more
        + "\nFix them, or leave them out with --skip-bad-rows (pool.skip_bad_rows: true)."
    )
