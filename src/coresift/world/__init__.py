"""The embedded world: facts, instruction tasks and a small base model that needs no download."""

from pathlib import Path

from coresift.models.sources import EMBEDDED
from coresift.world.base_text import base_text
from coresift.world.facts import facts
from coresift.world.generator import PoolItem, TestItem, kind_of, pool, pool_items, test_items, test_items_like_the_pool


def model_path() -> Path:
    """Folder of the base model that ships with the package."""
    return EMBEDDED


__all__ = [
    "PoolItem",
    "TestItem",
    "base_text",
    "facts",
    "kind_of",
    "model_path",
    "pool",
    "pool_items",
    "test_items",
    "test_items_like_the_pool",
]
