"""The result of a selection: which examples, how much each stands for, and where that came from."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from coresift import files, fingerprints
from coresift.data.pool import Pool
from coresift.data.writers import coreset_text
from coresift.errors import SelectionError
from coresift.notebook import facts_table

ARRAYS = "coreset.npz"
FACTS = "coreset.json"
ROWS = "coreset.jsonl"
KEYS = ("subset", "weights")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coreset:
    """A weighted subset of a pool, immutable.

    Attributes:
        indices: Pool positions in the order picked, int64, all different.
        weights: How many pool examples each pick stands for, float32, finite and > 0.
        ids: Example ids, one per pick.
        diagnostics: What the method measured; JSON-able.
        provenance: method, settings, fingerprints, seed, seconds, version, budget, n; JSON-able.
        prefixes: The smaller coresets that were asked for in the same selection; not saved.
    """

    indices: np.ndarray
    weights: np.ndarray
    ids: tuple[str, ...]
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    prefixes: Mapping[int, "Coreset"] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name, dtype in (("indices", np.int64), ("weights", np.float32)):
            array = np.array(getattr(self, name), dtype=dtype)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        object.__setattr__(self, "ids", tuple(self.ids))
        check_answer(self.indices, self.weights, what="coreset")
        if len(self.ids) != len(self.indices):
            raise SelectionError(f"coreset: {len(self.ids)} ids for {len(self.indices)} picks. Pass one id per pick.")

    def __len__(self) -> int:
        return len(self.indices)

    def _repr_html_(self) -> str:
        given = self.provenance
        facts = {
            "method": given.get("method"),
            "budget": given.get("budget"),
            "weights": self._weights_in_words() if len(self) > 0 else None,
            "α": self.diagnostics.get("alpha"),
            "first picks": ", ".join(self.ids[:5]) + (", …" if len(self) > 5 else ""),
        }
        whole = f" of {given['n']:,}" if "n" in given else ""
        return facts_table(f"Coreset: {len(self):,}{whole} examples", facts)

    def _weights_in_words(self) -> str:
        low, high = self.weights.min(), self.weights.max()
        return f"{low:g} to {high:g}, worth {self.effective_size:.1f} equal picks"

    @property
    def effective_size(self) -> float:
        """(sum w)^2 / (sum w^2): how many equally weighted examples the weights are worth."""
        weights = self.weights.astype(np.float64)
        return float(weights.sum() ** 2 / (weights**2).sum())

    def prefix(self, size: int) -> "Coreset":
        """The method's own answer for a smaller size that was asked for together with this one.

        Raises:
            SelectionError: If that size was not asked for; weights of a prefix need the features again.
        """
        if size == len(self):
            return self
        if size not in self.prefixes:
            known = sorted([*self.prefixes, len(self)])
            raise SelectionError(
                f"no prefix of size {size}: this coreset knows {known}. Pass that budget to select() too."
            )
        return self.prefixes[size]

    def save(self, folder: str | Path, pool: Pool | None = None) -> None:
        """Write coreset.npz and coreset.json, each whole or not at all; equal content, equal bytes.

        Args:
            folder: Made where it is missing.
            pool: Also write the chosen rows of this pool as coreset.jsonl, last.

        Raises:
            SelectionError: If the pool is not the one that was chosen from.
        """
        folder = Path(folder).expanduser()
        text = None if pool is None else self._rows(pool)
        files.write_arrays(folder / ARRAYS, {"subset": self.indices, "weights": self.weights})
        files.write_json(folder / FACTS, self.to_json())
        if text is not None:
            files.write_text(folder / ROWS, text)

    def to_json(self) -> dict[str, Any]:
        """Everything but the arrays, as it stands in coreset.json; their checksum ties the two together."""
        own = {"ids": list(self.ids), "checksum": self._checksum, "effective_size": self.effective_size}
        return {**self.provenance, **own, "diagnostics": dict(self.diagnostics)}

    def write_rows(self, path: str | Path, pool: Pool) -> None:
        """Write the chosen rows in pick order, in the pool's own schema, with `coresift_id` and `coresift_weight`.

        Raises:
            SelectionError: If the pool is not the one that was chosen from.
        """
        files.write_text(Path(path).expanduser(), self._rows(pool))

    def _rows(self, pool: Pool) -> str:
        for index, id in zip(self.indices.tolist(), self.ids, strict=True):
            found = pool[index].id if index < len(pool) else None
            if found != id and id != str(index):  # positions stand for ids that select() was not given
                there = f"has no position {index}" if found is None else f"has {found!r} at position {index}"
                raise SelectionError(
                    f"the coreset's example {id!r} is not in this pool, which {there}. Pass the pool that was chosen "
                    "from, as it was."
                )
        return coreset_text(pool, self.indices, self.weights)

    @classmethod
    def load(cls, folder: str | Path) -> "Coreset":
        """Read a saved coreset.

        Raises:
            SelectionError: If a file is missing, broken, or the two do not belong together.
        """
        folder = Path(folder).expanduser()
        arrays, facts = _read_arrays(folder / ARRAYS), _read_facts(folder / FACTS)
        own = {key: facts.pop(key, None) for key in ("ids", "checksum", "effective_size", "diagnostics")}
        if not isinstance(own["ids"], list) or not isinstance(own["diagnostics"], dict):
            raise SelectionError(
                f"{folder / FACTS}: 'ids' or 'diagnostics' is missing. Select again or restore the file."
            )
        coreset = cls(
            indices=arrays["subset"],
            weights=arrays["weights"],
            ids=tuple(own["ids"]),
            diagnostics=own["diagnostics"],
            provenance=facts,
        )
        if coreset._checksum != own["checksum"]:
            raise SelectionError(f"{folder}: {ARRAYS} and {FACTS} are of different coresets. Select again.")
        return coreset

    @property
    def _checksum(self) -> str:
        return fingerprints.of_bytes(self.indices.tobytes() + self.weights.tobytes())


def check_answer(indices: np.ndarray, weights: np.ndarray, *, what: str) -> None:
    """Refuse picks that repeat, are negative or empty, and weights that are not finite and positive."""
    if indices.ndim != 1 or indices.shape != weights.shape or len(indices) == 0:
        raise SelectionError(
            f"{what}: {indices.shape} picks and {weights.shape} weights. One weight per pick, at least one."
        )
    if indices.min() < 0 or len(np.unique(indices)) != len(indices):
        raise SelectionError(f"{what}: a pick is negative or repeated. Picks are pool positions, all different.")
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights > 0)))
    if len(bad) > 0:
        raise SelectionError(f"{what}: weight {weights[bad[0]]} of pick {bad[0]}. Weights must be finite and above 0.")


def _read_arrays(path: Path) -> Mapping[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [key for key in KEYS if key not in archive]
            if not missing:
                return {key: archive[key] for key in KEYS}
    except FileNotFoundError:
        raise SelectionError(f"{path}: not found. A saved coreset is a folder with {ARRAYS} and {FACTS}.") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SelectionError(f"{path}: not a readable npz file ({error}). Select again.") from None
    raise SelectionError(f"{path}: no array {missing[0]!r}. A coreset file holds {' and '.join(KEYS)}.")


def _read_facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SelectionError(f"{path}: not found. A saved coreset is a folder with {ARRAYS} and {FACTS}.") from None
    except ValueError as error:
        raise SelectionError(f"{path}: not readable as JSON ({error}). Select again.") from None
    if not isinstance(facts, dict):
        raise SelectionError(f"{path}: a {type(facts).__name__}, not an object. Select again or restore the file.")
    return facts
