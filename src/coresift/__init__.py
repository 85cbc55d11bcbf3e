"""coresift: choose a small weighted subset of an instruction pool, train on it, show what it cost and what it kept."""

from coresift.coreset import Coreset
from coresift.data.pool import Example, Message, Pool
from coresift.data.readers import read_pool
from coresift.features.memory import InMemoryFeatures
from coresift.features.specs import GradientSpec
from coresift.select import select
from coresift.selectors import (
    SELECTORS,
    BalancedRandom,
    Brief,
    Craig,
    DeftUCS,
    Delift,
    Full,
    GradMatch,
    KCenter,
    Mint,
    Random,
    SelectIT,
    Tagcos,
)

__version__ = "0.1.0"

__all__ = [
    "SELECTORS",
    "BalancedRandom",
    "Brief",
    "Coreset",
    "Craig",
    "DeftUCS",
    "Delift",
    "Example",
    "Full",
    "GradMatch",
    "GradientSpec",
    "InMemoryFeatures",
    "KCenter",
    "Message",
    "Mint",
    "Pool",
    "Random",
    "SelectIT",
    "Tagcos",
    "read_pool",
    "select",
]
