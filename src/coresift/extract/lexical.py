"""BM25 of the pool for the words of the target, by the library `bm25s`; what a word is, is decided here.

Text is brought to one form (NFKC, lower case) and cut into words:

    letters, digits and marks that stand together            one word                   "3 Äpfel" -> 3, äpfel
    the same in a script that is written without spaces      every two neighbours       "今天天气" -> 今天, 天天, 天气
    (Chinese, Japanese, Thai, Lao, Khmer, Burmese, Tibetan)  and a lone one by itself   "水" -> 水

There are no stop words and no stems: what nearly every text holds weighs next to nothing anyway, in every language.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from coresift.data.pool import Example
from coresift.errors import SettingsError
from coresift.extract.embeddings import text_of
from coresift.extract.shards import Account, fill
from coresift.features.store import FeatureStore
from coresift.features.targets import LexicalSpec

PLAIN = re.compile(r"[a-z0-9]+")
UNSPACED = (
    *("CJK", "HIRAGANA", "KATAKANA", "BOPOMOFO", "IDEOGRAPHIC", "HALFWIDTH KATAKANA"),
    *("THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN"),
)
"""How the Unicode names of characters begin whose scripts put no spaces between words."""


def words(text: str) -> list[str]:
    """The words of a text, in order.

    >>> words("BM25 finds 3 Äpfel: 今天天气!")
    ['bm25', 'finds', '3', 'äpfel', '今天', '天天', '天气']
    """
    one = unicodedata.normalize("NFKC", text).lower()
    return PLAIN.findall(one) if one.isascii() else list(_cut(one))


def _cut(text: str) -> Iterator[str]:
    for kind, run in groupby(_clusters(text), key=lambda cluster: _kind(cluster[0])):
        if kind == "word":
            yield "".join(run)
        elif kind == "unspaced":
            letters = list(run)
            yield from map("".join, zip(letters, letters[1:], strict=False)) if len(letters) > 1 else letters


def _clusters(text: str) -> Iterator[str]:
    """Characters with the marks that follow them: a vowel sign is no letter of its own."""
    held = ""
    for character in text:
        if held and _is_mark(character):
            held += character
            continue
        if held:
            yield held
        held = character
    if held:
        yield held


@cache
def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


@cache
def _kind(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] not in "LNM":
        return "between"
    return "unspaced" if unicodedata.name(character, "").startswith(UNSPACED) else "word"


def extract_lexical(
    examples: Sequence[Example],
    target: Sequence[Example],
    store: FeatureStore,
    spec: LexicalSpec,
    *,
    account: Account | None = None,
) -> None:
    """Fill the array of `spec`: Lucene's BM25 of every pool example, a word that a query repeats counted as often.

    Args:
        examples: The pool, in the order of `store.ids`; how rare a word is, is counted here.
        target: The target examples, each one query.
        store: Where the scores go; its identity names pool and target.
        spec: What is read of either, and BM25's two constants.
        account: Called after every shard with its seconds.

    Raises:
        SettingsError: If `bm25s` is not installed.
    """
    array = store.array(spec)
    if len(array.missing()) == 0:
        return
    scores = bm25(
        [words(text_of(example, spec.text)) for example in examples],
        [words(text_of(example, spec.query)) for example in target],
        k1=spec.k1,
        b=spec.b,
    )
    fill(array, lambda shard: (scores[shard.start : shard.stop], 0), label="BM25", account=account)


def bm25(texts: Sequence[Sequence[str]], queries: Sequence[Sequence[str]], *, k1: float, b: float) -> Tensor:
    """Scores of texts for queries, both as words.

        score(d, q) = sum over the words w of q of  idf(w) f / (f + k1 (1 - b + b |d| / mean |d|)),
        idf(w) = log(1 + (n - n_w + 0.5) / (n_w + 0.5)),

    with f how often w stands in d, and n_w in how many of the n texts.

    Returns:
        [texts, queries] float32, at least 0.

    Raises:
        SettingsError: If `bm25s` is not installed.
    """
    try:
        from bm25s import BM25
    except ImportError:
        raise SettingsError(
            "method bm25 needs the package bm25s, and it is not installed. Run `pip install 'coresift[targets]'`."
        ) from None
    out = np.zeros((len(texts), len(queries)), dtype=np.float32)
    if any(len(text) > 0 for text in texts):
        index = BM25(method="lucene", k1=k1, b=b)
        index.index([list(text) for text in texts], show_progress=False)
        for place, query in enumerate(queries):
            known = index.get_tokens_ids(list(query))
            if len(known) > 0:
                out[:, place] = index.get_scores_from_ids(known)
    return torch.from_numpy(out)
