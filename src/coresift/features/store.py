"""Features on disk: safetensors shards that are whole or absent, checksummed, and refused when they belong elsewhere.

One folder per feature spec:

    <root>/<spec key>/manifest.json              what the rows depend on, and the checksum of every shard
    <root>/<spec key>/rows-000000-000256.safetensors   `unit` float16 [rows, d] and `norm` float32 [rows]

A row is stored as a unit vector in 16 bit and its norm in 32 bit: half the disk of float32, and no row underflows.
Manifest and shards hold no time, host or path, so a run that was killed and resumed ends byte-identical to one that
was not.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from coresift.differences import both_sides
from coresift.errors import FeatureError
from coresift.features.specs import FeatureSpec
from coresift.files import write_json, write_tensors
from coresift.fingerprints import checksum

FORMAT = 1


class FeatureArray:
    """The rows of one spec: n x d, in shards of `shard_rows` rows.

    Args:
        folder: Where the shards live; created on the first write.
        identity: Everything the rows depend on (pool, model, adapter, spec, ...), JSON-able.
        ids: Example ids in row order, for messages.
        shard_rows: Rows per shard; a folder that was begun with another number stays with it.

    Raises:
        FeatureError: If the folder holds rows made from something else; both sides are printed.
    """

    def __init__(self, folder: Path, *, identity: Mapping[str, Any], ids: Sequence[str], shard_rows: int) -> None:
        self.folder, self.ids, self.n, self.shard_rows = folder, ids, len(ids), shard_rows
        self.identity = {"format": FORMAT, "rows": self.n, **identity}
        self._sums: dict[str, str] = {}
        if self._manifest.exists():
            self._adopt(json.loads(self._manifest.read_text(encoding="utf-8")))

    @property
    def _manifest(self) -> Path:
        return self.folder / "manifest.json"

    def _adopt(self, manifest: Mapping[str, Any]) -> None:
        found = manifest["identity"]
        differences = both_sides(found, self.identity, holder="the store")
        if differences:
            raise FeatureError(
                f"{self.folder} holds features of something else:\n{differences}\n"
                "Use another run folder (another name or --out), or delete this one."
            )
        self.shard_rows = manifest["shard_rows"]
        self._sums = dict(manifest["shards"])

    @property
    def shards(self) -> list[range]:
        """The row range of every shard, in order."""
        return [range(start, min(start + self.shard_rows, self.n)) for start in range(0, self.n, self.shard_rows)]

    def missing(self) -> list[range]:
        """Shards still to be computed: absent, unlisted, or not what the manifest says they are."""
        return [rows for rows in self.shards if not self._is_whole(rows)]

    def _is_whole(self, rows: range) -> bool:
        path = self._path(rows)
        expected = self._sums.get(path.name)
        return expected is not None and path.exists() and checksum(path) == expected

    def _path(self, rows: range) -> Path:
        return self.folder / f"rows-{rows.start:07d}-{rows.stop:07d}.safetensors"

    def write(self, rows: range, values: Tensor) -> None:
        """Store the features of one shard.

        Args:
            rows: One of `shards`.
            values: [rows, d], any float type.

        Raises:
            FeatureError: If a row is not finite; its id is named and nothing is written.
        """
        self._refuse_non_finite(rows, values)
        norms = torch.linalg.vector_norm(values.double(), dim=1)
        units = values.double() / norms.clamp_min(torch.finfo(torch.float64).tiny)[:, None]
        tensors = {"unit": units.to(torch.float16).cpu(), "norm": norms.float().cpu()}
        path = self._path(rows)
        write_tensors(path, tensors)
        self._sums[path.name] = checksum(path)
        facts = {"identity": self.identity, "shard_rows": self.shard_rows}
        write_json(self._manifest, {**facts, "shards": dict(sorted(self._sums.items()))})

    def _refuse_non_finite(self, rows: range, values: Tensor) -> None:
        finite = torch.isfinite(values).all(dim=1)
        if bool(finite.all()):
            return
        bad = [self.ids[rows[int(place)]] for place in (~finite).nonzero().flatten()]
        raise FeatureError(
            f"{len(bad)} gradient rows are not finite: ids {_some(bad)}. Features must be finite. "
            "Try model.dtype=float32, or take these examples out of the pool."
        )

    def rows(self, shard: range) -> Tensor:
        """The rows of one shard that is there, float32 [rows, d]. Raises FeatureError if the file cannot be read."""
        return self._load(shard)

    def read(self) -> Tensor:
        """All rows, float32 [n, d].

        Raises:
            FeatureError: If shards are missing or damaged.
        """
        missing = self.missing()
        if len(missing) > 0:
            raise FeatureError(
                f"{self.folder}: {len(missing)} of {len(self.shards)} shards are missing or damaged. "
                "Run `coresift extract` with the same recipe: it computes only those."
            )
        return torch.cat([self._load(rows) for rows in self.shards])

    def _load(self, rows: range) -> Tensor:
        try:
            tensors = load_file(self._path(rows))
        except SafetensorError as error:
            raise FeatureError(
                f"{self._path(rows)}: not a readable shard ({error}). Delete it and extract again."
            ) from None
        return tensors["unit"].float() * tensors["norm"][:, None]


class FeatureStore:
    """Features of one pool under one checkpoint; satisfies the `Features` protocol.

    Args:
        root: The folder that holds one folder per spec.
        identity: What all its rows depend on besides the spec: pool, model and checkpoint fingerprints.
        ids: Example ids in row order.
        shard_rows: Rows per shard.
        folders: Where the rows of a stored spec are, if not in the folder of `root` with its key.
    """

    def __init__(
        self,
        root: Path,
        *,
        identity: Mapping[str, Any],
        ids: Sequence[str],
        shard_rows: int = 256,
        folders: Mapping[FeatureSpec, Path] | None = None,
    ) -> None:
        self.root, self.identity, self.ids, self.shard_rows = root, dict(identity), tuple(ids), shard_rows
        self._folders = dict(folders or {})

    @property
    def n(self) -> int:
        """Number of rows (pool examples)."""
        return len(self.ids)

    def array(self, spec: FeatureSpec) -> FeatureArray:
        """The stored rows behind `spec`, opened; specs that differ only in their row scaling share one array."""
        stored = spec.stored
        identity = {**self.identity, "spec": stored.model_dump(mode="json")}
        folder = self._folders.get(stored, self.root / stored.key)
        return FeatureArray(folder, identity=identity, ids=self.ids, shard_rows=self.shard_rows)

    def __getitem__(self, spec: FeatureSpec) -> Tensor:
        """Features of every example under `spec`, float32 [n, d]."""
        return spec.transform(self.array(spec).read())


def _some(ids: Sequence[str], limit: int = 5) -> str:
    shown = ", ".join(repr(id) for id in ids[:limit])
    return shown if len(ids) <= limit else f"{shown} and {len(ids) - limit} more"
