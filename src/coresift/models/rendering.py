"""Rendering a whole pool: in parts of so many rows, by one process or several, with the same result."""

import pickle
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from coresift.data.pool import Example, Pool
from coresift.execution.base import Executor
from coresift.execution.local import LocalExecutor
from coresift.execution.processes import ProcessExecutor, cores, may_spawn
from coresift.models.packed import Packed, Packing
from coresift.models.render import Renderer, RenderFault

BATCH = 256
"""Conversations that are rendered and tokenised at once."""
PART = 4 * BATCH
"""Conversations that travel to a process at once."""
MANY = 20_000
"""Conversations from which on the time that processes take to start is won back."""
MOST = 8
"""Processes: more wait for rows, which one process reads for all."""


def pack_pool(pool: Pool, renderer: Renderer, executor: Executor | None = None) -> Packed:
    """Render every example, whatever its length; what cannot be rendered is among the faults.

    Args:
        pool: The examples.
        renderer: Renders them.
        executor: Where; by default one process, and one per core for `MANY` examples or more.
    """
    chosen = _engine(len(pool)) if executor is None else executor
    parts = [_Part(pool, begin) for begin in range(0, len(pool), PART)]
    with TemporaryDirectory(prefix="coresift-") as folder:
        work: Callable[[Any], Packed] = partial(_packed, renderer)
        if isinstance(chosen, ProcessExecutor):
            file = Path(folder) / "renderer"
            file.write_bytes(pickle.dumps(renderer))
            work = partial(_packed_elsewhere, str(file))
        made = chosen.map(work, parts, label="rendering", unit=f"parts of {PART} examples")
        return Packed.joined([*made])


@dataclass(frozen=True, slots=True)
class _Part(Sequence[Example]):
    """`PART` examples of a pool, made when they are looked at or sent to another process."""

    pool: Pool
    begin: int

    def __len__(self) -> int:
        return min(PART, len(self.pool) - self.begin)

    def __getitem__(self, place: Any) -> Any:
        return self.pool[self.begin : self.begin + len(self)][place]

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (self[:],)


def _packed(renderer: Renderer, part: Sequence[Example]) -> Packed:
    packing, faults, notes = Packing(), dict[int, RenderFault](), Counter[str]()
    examples = part[:]
    batches = (examples[begin : begin + BATCH] for begin in range(0, len(examples), BATCH))
    for place, row in enumerate(chain.from_iterable(renderer.render_batches(batches))):
        if isinstance(row, RenderFault):
            faults[place] = row
            packing.add(None)
        else:
            notes.update(row.notes)
            packing.add(row)
    return packing.packed(faults, notes)


def _packed_elsewhere(file: str, part: Sequence[Example]) -> Packed:
    return _packed(_opened(file), part)


@lru_cache(maxsize=1)
def _opened(file: str) -> Renderer:
    """The renderer that the process which asks has left there, read once."""
    renderer: Renderer = pickle.loads(Path(file).read_bytes())
    return renderer


def _engine(rows: int) -> Executor:
    workers = min(cores(), MOST) if rows >= MANY and may_spawn() else 1
    return LocalExecutor() if workers == 1 else ProcessExecutor(workers)
