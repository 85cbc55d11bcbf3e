"""Where long work leaves what it has, so that a killed run goes on instead of beginning again."""

import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from coresift import files, fingerprints

Arrays = Mapping[str, np.ndarray]


class Savepoints(Protocol):
    """Named sets of arrays that outlive the process, or do not."""

    def load(self, name: str) -> Arrays | None:
        """What was saved last under a name; None if nothing was."""
        ...

    def save(self, name: str, arrays: Arrays) -> None:
        """Keep arrays, in place of what was there."""
        ...

    def drop(self, name: str) -> None:
        """Let go of what was saved under a name, if anything was."""
        ...

    @property
    def every(self) -> float:
        """Seconds of work worth saving."""
        ...


class Nowhere:
    """Nothing is kept."""

    every = float("inf")

    def load(self, name: str) -> Arrays | None:
        """None."""
        return None

    def save(self, name: str, arrays: Arrays) -> None:
        """Do nothing."""

    def drop(self, name: str) -> None:
        """Do nothing."""


class InFolder:
    """Files of one folder, for work that depends on nothing but `identity`.

    Args:
        folder: Made when something is saved first.
        identity: Everything that the work depends on, JSON-able; work of another identity never sees these files.
        every: Seconds of work worth saving.
    """

    def __init__(self, folder: Path, identity: Mapping[str, object], *, every: float = 30.0) -> None:
        self.folder, self.identity, self.every = folder, dict(identity), every

    def load(self, name: str) -> Arrays | None:
        """What was saved last under a name; None if nothing was."""
        path = self._path(name)
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as saved:
            return {key: saved[key] for key in saved.files}

    def save(self, name: str, arrays: Arrays) -> None:
        """Keep arrays, in place of what was there; a kill in between leaves what was there."""
        files.write_arrays(self._path(name), arrays)

    def drop(self, name: str) -> None:
        """Let go of what was saved under a name, if anything was."""
        self._path(name).unlink(missing_ok=True)

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprints.of_json(self.identity)

    def _path(self, name: str) -> Path:
        return self.folder / f"{self._fingerprint}-{fingerprints.of_json(name)}.npz"


class Within:
    """Savepoints of one part of the work, such as a pilot: its names never meet those of another part.

    Args:
        savepoints: Where the whole work is saved.
        part: What the part is called.
    """

    def __init__(self, savepoints: Savepoints, part: str) -> None:
        self._whole, self._part = savepoints, part

    def load(self, name: str) -> Arrays | None:
        """What this part saved last under a name; None if it saved nothing."""
        return self._whole.load(f"{self._part}: {name}")

    def save(self, name: str, arrays: Arrays) -> None:
        """Keep arrays of this part, in place of what was there."""
        self._whole.save(f"{self._part}: {name}", arrays)

    def drop(self, name: str) -> None:
        """Let go of what this part saved under a name, if anything was."""
        self._whole.drop(f"{self._part}: {name}")

    @property
    def every(self) -> float:
        """Seconds of work worth saving."""
        return self._whole.every


class Clock:
    """Says when the next save is due."""

    def __init__(self, savepoints: Savepoints) -> None:
        self._every, self._last = savepoints.every, time.monotonic()

    def due(self) -> bool:
        """Whether work worth saving has been done since the last time this was so."""
        now = time.monotonic()
        if now - self._last < self._every:
            return False
        self._last = now
        return True
