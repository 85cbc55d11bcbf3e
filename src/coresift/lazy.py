"""torch, loaded when it is first used: help, settings and their errors need none of its seconds.

Whatever lies on the way from a command to its checked settings writes `from coresift.lazy import torch`, and names
tensors in annotations only; `tests/ground/test_floors.py` says what lies there.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any


class _Module:
    """Stands in for a module: what it is asked for is looked up there."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)


if TYPE_CHECKING:
    import torch
else:
    torch = _Module("torch")
