"""Work that is killed while it saves, again and again, until it is done."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from coresift.savepoints import InFolder, Savepoints

T = TypeVar("T")


class Killed(Exception):
    """What stops work in these tests."""


class Dying(InFolder):
    """Saves whenever it can and is killed at the given save."""

    def __init__(self, folder: Path, lives: int) -> None:
        super().__init__(folder, {"pool": 1}, every=0.0)
        self.lives = lives

    def save(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        super().save(name, arrays)
        self.lives -= 1
        if self.lives == 0:
            raise Killed


def until_done(work: Callable[[Savepoints], T], folder: Path, *, lives: int, most: int = 100) -> tuple[T, int]:
    """What work comes to that is killed at every `lives`th save, and how often it was."""
    for kills in range(most):
        try:
            return work(Dying(folder, lives)), kills
        except Killed:
            continue
    raise AssertionError(f"not done after {most} kills")
