"""Selection methods, one file each: arrays in, picks and weights out; siblings never meet."""

from coresift.selectors.brief import Brief
from coresift.selectors.full import Full
from coresift.selectors.random import Random
from coresift.settings import Settings

SELECTORS: dict[str, type[Settings]] = {method.name: method for method in (Brief, Random, Full)}
"""Methods by the name used in recipes."""

__all__ = ["SELECTORS", "Brief", "Full", "Random"]
