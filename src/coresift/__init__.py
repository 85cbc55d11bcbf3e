"""coresift: choose a small weighted subset of an instruction pool, train on it, show what it cost and what it kept.

Names are loaded when they are first used (PEP 562), so that importing the package costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coresift.coreset import Coreset
    from coresift.data.pool import Example, Message, Pool
    from coresift.data.readers import read_pool
    from coresift.features.memory import InMemoryFeatures
    from coresift.features.specs import GradientSpec
    from coresift.selection import select
    from coresift.selectors import (
        DSIR,
        IFD,
        MIG,
        SELECTORS,
        BalancedRandom,
        Bm25,
        Brief,
        Craig,
        DeftUCS,
        Deita,
        Delift,
        Full,
        GradMatch,
        KCenter,
        LengthMatched,
        Less,
        Longest,
        Mint,
        Perplexity,
        Random,
        RdsPlus,
        SelectIT,
        Tagcos,
        TargetMatch,
    )

__version__ = "0.1.0"

__all__ = [
    "DSIR",
    "IFD",
    "MIG",
    "SELECTORS",
    "BalancedRandom",
    "Bm25",
    "Brief",
    "Coreset",
    "Craig",
    "DeftUCS",
    "Deita",
    "Delift",
    "Example",
    "Full",
    "GradMatch",
    "GradientSpec",
    "InMemoryFeatures",
    "KCenter",
    "Less",
    "LengthMatched",
    "Longest",
    "Message",
    "Mint",
    "Perplexity",
    "Pool",
    "Random",
    "RdsPlus",
    "SelectIT",
    "Tagcos",
    "TargetMatch",
    "read_pool",
    "select",
]

_HOMES = {
    "Coreset": "coresift.coreset",
    "Example": "coresift.data.pool",
    "GradientSpec": "coresift.features.specs",
    "InMemoryFeatures": "coresift.features.memory",
    "Message": "coresift.data.pool",
    "Pool": "coresift.data.pool",
    "read_pool": "coresift.data.readers",
    "select": "coresift.selection",
}
"""Where a name comes from, if not from `coresift.selectors`."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, "coresift.selectors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
