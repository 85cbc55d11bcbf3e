"""Selection methods, one file each: arrays in, picks and weights out; siblings never meet."""

from coresift.selectors.brief import Brief
from coresift.selectors.craig import Craig
from coresift.selectors.full import Full
from coresift.selectors.gradmatch import GradMatch
from coresift.selectors.kcenter import KCenter
from coresift.selectors.mint import Mint
from coresift.selectors.random import Random
from coresift.selectors.tagcos import Tagcos
from coresift.settings import Settings

SELECTORS: dict[str, type[Settings]] = {
    method.name: method for method in (Brief, Mint, Craig, GradMatch, Tagcos, KCenter, Random, Full)
}
"""Methods by the name used in recipes."""

__all__ = ["SELECTORS", "Brief", "Craig", "Full", "GradMatch", "KCenter", "Mint", "Random", "Tagcos"]
