"""Utilities on disk, a few examples' columns per shard; several processes may fill one kernel at the same time.

    <folder>/manifest.json                              what the utilities depend on
    <folder>/columns-0000000-0000002.safetensors        `utility` float32, `shortened` and `unscorable` int32 [examples]
    <folder>/columns-0000000-0000002.sha256             its checksum, as `sha256sum -c` reads it

A shard holds whole columns: what its examples are worth to every row, or to the rows they are paired with. Every shard
has its own checksum file, so processes with different shards never write the same file. No file holds a time, host or
path: a kernel that was killed and resumed, or filled by several processes, ends byte-identical to one that was not.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from coresift import fingerprints
from coresift.differences import both_sides
from coresift.errors import FeatureError
from coresift.features.utilities import csr
from coresift.files import write_json, write_tensors, write_text
from coresift.fingerprints import checksum

FORMAT = 1
PAIRS_PER_SHARD = 4096
"""How much work a kill may lose: shards hold about so many pairs."""


class KernelArray:
    """Utilities of examples (first dimension) for rows (second), dense or for chosen pairs.

    Args:
        folder: Where the shards live; created on the first write.
        identity: Everything the utilities depend on (pools, model, spec, ...), JSON-able.
        examples: Ids of the examples that are shown, in order.
        rows: Ids of the examples that are answered, in order.
        pairs: For every example the positions of the rows it is scored with, ascending; None for all pairs.
        shard_columns: Examples per shard; by default about `PAIRS_PER_SHARD` pairs.

    Raises:
        FeatureError: If the folder holds utilities of something else (both sides are printed), or the pairs do not fit.
    """

    def __init__(
        self,
        folder: Path,
        *,
        identity: Mapping[str, Any],
        examples: Sequence[str],
        rows: Sequence[str],
        pairs: Sequence[Sequence[int]] | None = None,
        shard_columns: int | None = None,
    ) -> None:
        self.folder, self.examples, self.rows = folder, tuple(examples), tuple(rows)
        self.pairs = None if pairs is None else [np.asarray(places, dtype=np.int64) for places in pairs]
        self._refuse_bad_sizes()
        self.shard_columns = shard_columns or max(PAIRS_PER_SHARD // max(self.n_pairs // len(self.examples), 1), 1)
        self.identity = {
            "format": FORMAT,
            "examples": {"count": len(self.examples), "ids": fingerprints.of_json(list(self.examples))},
            "rows": {"count": len(self.rows), "ids": fingerprints.of_json(list(self.rows))},
            "pairs": "all" if self.pairs is None else fingerprints.of_json([p.tolist() for p in self.pairs]),
            "shard_columns": self.shard_columns,
            **identity,
        }
        self._claimed = False
        self._refuse_other()

    @property
    def n_pairs(self) -> int:
        """How many utilities there are."""
        if self.pairs is None:
            return len(self.examples) * len(self.rows)
        return sum(map(len, self.pairs))

    @property
    def shards(self) -> list[range]:
        """The examples of every shard, in order."""
        n = len(self.examples)
        return [range(start, min(start + self.shard_columns, n)) for start in range(0, n, self.shard_columns)]

    def places(self, example: int) -> Sequence[int] | None:
        """Positions of the rows that an example is scored with; None for all."""
        return None if self.pairs is None else self.pairs[example].tolist()

    def missing(self) -> list[range]:
        """Shards still to be computed: absent, without a checksum, or not what it says they are."""
        return [shard for shard in self.shards if not self._is_whole(shard)]

    def write(self, shard: range, columns: Sequence[Tensor], counts: Sequence[tuple[int, int]]) -> None:
        """Store the columns of one shard.

        Args:
            shard: One of `shards`.
            columns: One tensor per example: utilities for its rows, in their order.
            counts: One pair per example: how many of its utilities were measured with a shortened example, and how many
                could not be measured and hold 0.

        Raises:
            FeatureError: If a utility is not finite; the ids are named and nothing is written.
        """
        for example, column in zip(shard, columns, strict=True):
            self._refuse_non_finite(example, column)
        tensors = {
            "utility": torch.cat([column.float().cpu() for column in columns]),
            "shortened": torch.tensor([count[0] for count in counts], dtype=torch.int32),
            "unscorable": torch.tensor([count[1] for count in counts], dtype=torch.int32),
        }
        path = self._path(shard)
        self._write_manifest()
        write_tensors(path, tensors)
        write_text(_beside(path), f"{checksum(path)}  {path.name}\n")

    def read(self) -> Tensor:
        """All utilities, float32 [examples, rows]; a CSR tensor when only chosen pairs are held.

        Raises:
            FeatureError: If shards are missing or damaged.
        """
        values = torch.cat([tensors["utility"] for tensors in self._load_all()])
        size = (len(self.examples), len(self.rows))
        if self.pairs is None:
            return values.reshape(size)
        starts = torch.tensor([0, *accumulate(map(len, self.pairs))])
        return csr(starts, torch.from_numpy(np.concatenate(self.pairs)), values, size)

    def counts(self) -> tuple[int, int]:
        """Pairs whose example was shortened, and pairs that could not be scored.

        Raises:
            FeatureError: As `read`.
        """
        found = [(int(tensors["shortened"].sum()), int(tensors["unscorable"].sum())) for tensors in self._load_all()]
        return sum(pair[0] for pair in found), sum(pair[1] for pair in found)

    def _refuse_bad_sizes(self) -> None:
        if len(self.examples) == 0 or len(self.rows) == 0:
            raise FeatureError(
                f"{self.folder}: utilities of {len(self.examples)} examples for {len(self.rows)} rows. "
                "Give at least one of either: is a target or existing set empty?"
            )
        if self.pairs is None:
            return
        if len(self.pairs) != len(self.examples):
            raise FeatureError(
                f"{self.folder}: pairs of {len(self.pairs)} examples for {len(self.examples)}. Give one list for each."
            )
        for id, places in zip(self.examples, self.pairs, strict=True):
            if len(places) and (places[0] < 0 or places[-1] >= len(self.rows) or (np.diff(places) <= 0).any()):
                raise FeatureError(
                    f"{self.folder}: the rows paired with example {id} are not ascending positions below "
                    f"{len(self.rows)}. Sort them and name each once."
                )

    def _refuse_other(self) -> None:
        if not self._manifest.exists():
            return
        found = json.loads(self._manifest.read_text(encoding="utf-8"))
        differences = both_sides(found, self.identity, holder="the store")
        if differences:
            raise FeatureError(
                f"{self.folder} holds utilities of something else:\n{differences}\n"
                "Use another run folder (another name or --out), or delete this one."
            )

    def _refuse_non_finite(self, example: int, column: Tensor) -> None:
        finite = torch.isfinite(column)
        if bool(finite.all()):
            return
        places = self.places(example)
        wrong = (~finite).nonzero().flatten().tolist()
        bad = [self.rows[place if places is None else places[place]] for place in wrong]
        raise FeatureError(
            f"{len(bad)} utilities of example {self.examples[example]!r} are not finite, the first for {bad[0]!r}. "
            "Utilities must be finite. Try model.dtype=float32, or take these examples out of the pool."
        )

    @property
    def _manifest(self) -> Path:
        return self.folder / "manifest.json"

    def _write_manifest(self) -> None:
        """By whichever process writes first; the others make sure that it is theirs."""
        if self._claimed:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with _alone_in(self.folder):
            if not self._manifest.exists():
                write_json(self._manifest, self.identity)
        self._refuse_other()
        self._claimed = True

    def _path(self, shard: range) -> Path:
        return self.folder / f"columns-{shard.start:07d}-{shard.stop:07d}.safetensors"

    def _is_whole(self, shard: range) -> bool:
        path = self._path(shard)
        if not path.exists() or not _beside(path).exists():
            return False
        return _beside(path).read_text(encoding="utf-8") == f"{checksum(path)}  {path.name}\n"

    def _load_all(self) -> Iterator[Mapping[str, Tensor]]:
        missing = self.missing()
        if len(missing) > 0:
            raise FeatureError(
                f"{self.folder}: {len(missing)} of {len(self.shards)} shards are missing or damaged. "
                "Run `coresift extract` with the same recipe: it computes only those."
            )
        return map(self._load, self.shards)

    def _load(self, shard: range) -> Mapping[str, Tensor]:
        try:
            return load_file(self._path(shard))
        except SafetensorError as error:
            raise FeatureError(
                f"{self._path(shard)}: not a readable shard ({error}). Delete it and extract again."
            ) from None


def rows_by_example(candidates: Tensor, n: int) -> list[list[int]]:
    """The pairs of a kernel from the candidates of its rows.

    Args:
        candidates: [rows, count], positions of the examples that every row is scored with.
        n: Number of examples.

    Returns:
        For every example the rows that name it, ascending.
    """
    named: list[list[int]] = [[] for _ in range(n)]
    for row, examples in enumerate(candidates.tolist()):
        for example in examples:
            named[example].append(row)
    return named


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder; it leaves no file and ends with the process."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _beside(path: Path) -> Path:
    return path.with_suffix(".sha256")
