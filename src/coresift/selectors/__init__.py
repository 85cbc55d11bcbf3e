"""Selection methods, one file each: arrays in, picks and weights out; siblings never meet."""

from coresift.selectors.balanced import BalancedRandom
from coresift.selectors.bm25 import Bm25
from coresift.selectors.brief import Brief
from coresift.selectors.craig import Craig
from coresift.selectors.deft import DeftUCS
from coresift.selectors.deita import Deita
from coresift.selectors.delift import Delift
from coresift.selectors.dsir import DSIR
from coresift.selectors.full import Full
from coresift.selectors.gradmatch import GradMatch
from coresift.selectors.ifd import IFD
from coresift.selectors.kcenter import KCenter
from coresift.selectors.less import Less
from coresift.selectors.longest import Longest
from coresift.selectors.matched import LengthMatched
from coresift.selectors.mig import MIG
from coresift.selectors.mint import Mint
from coresift.selectors.perplexity import Perplexity
from coresift.selectors.random import Random
from coresift.selectors.rds import RdsPlus
from coresift.selectors.selectit import SelectIT
from coresift.selectors.tagcos import Tagcos
from coresift.selectors.target_match import TargetMatch
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
        Less,
        RdsPlus,
        Bm25,
        TargetMatch,
        Deita,
        MIG,
        DSIR,
        IFD,
        Perplexity,
        Longest,
        LengthMatched,
        Random,
        BalancedRandom,
        Full,
    )
}
"""Methods by the name used in recipes."""

__all__ = [
    "DSIR",
    "IFD",
    "MIG",
    "SELECTORS",
    "BalancedRandom",
    "Bm25",
    "Brief",
    "Craig",
    "DeftUCS",
    "Deita",
    "Delift",
    "Full",
    "GradMatch",
    "KCenter",
    "Less",
    "LengthMatched",
    "Longest",
    "Mint",
    "Perplexity",
    "Random",
    "RdsPlus",
    "SelectIT",
    "Tagcos",
    "TargetMatch",
]
