"""Selection methods, one file each: arrays in, picks and weights out; siblings never meet."""

from coresift.selectors.balanced import BalancedRandom
from coresift.selectors.brief import Brief
from coresift.selectors.craig import Craig
from coresift.selectors.deft import DeftUCS
from coresift.selectors.delift import Delift
from coresift.selectors.full import Full
from coresift.selectors.gradmatch import GradMatch
from coresift.selectors.kcenter import KCenter
from coresift.selectors.mint import Mint
from coresift.selectors.random import Random
from coresift.selectors.selectit import SelectIT
from coresift.selectors.tagcos import Tagcos
from coresift.settings import Settings

SELECTORS: dict[str, type[Settings]] = {
    method.name: method
    for method in (
        Brief,
        Mint,
        Craig,
        GradMatch,
        Tagcos,
        KCenter,
        Delift,
        SelectIT,
        DeftUCS,
        Random,
        BalancedRandom,
        Full,
    )
}
"""Methods by the name used in recipes."""

__all__ = [
    "SELECTORS",
    "BalancedRandom",
    "Brief",
    "Craig",
    "DeftUCS",
    "Delift",
    "Full",
    "GradMatch",
    "KCenter",
    "Mint",
    "Random",
    "SelectIT",
    "Tagcos",
]
