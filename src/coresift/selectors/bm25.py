"""BM25: what shares the most telling words with a target. Robertson and Zaragoza, 2009; Lucene's form.

No model at all: the cheapest way to a target, and the control for every dearer one. Words: docs/methods/bm25.md.
"""

from typing import ClassVar

from pydantic import Field

from coresift.features.targets import LexicalSpec
from coresift.features.utilities import Text
from coresift.targeted import Aggregate, Targeted


class Bm25(Targeted):
    """The examples that a search for the target's words finds first.

    Attributes:
        text, query: What of a pool example is searched, and what of a target example is searched for.
        k1, b: How fast repeated words stop counting, and how much longer texts are held back.
    """

    name: ClassVar[str] = "bm25"
    aggregate: Aggregate = "round-robin"
    text: Text = "full"
    query: Text = "full"
    k1: float = Field(1.5, ge=0.0)
    b: float = Field(0.75, ge=0.0, le=1.0)

    @property
    def similarity(self) -> LexicalSpec:
        """BM25 scores."""
        return LexicalSpec(text=self.text, query=self.query, k1=self.k1, b=self.b)
