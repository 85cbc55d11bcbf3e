#!/usr/bin/env bash
# bm25s 0.3.16: a search in Hindi for a word that stands in one of two texts, with the library's own tokeniser.
#
# A good guess: as in English, the text that holds the word scores above 0, and the other scores 0.
# Seen: the tokeniser's default pattern takes \w, which is not true of vowel signs (Unicode category Mc and Mn), and drops
# what is left where it has one character. So the word for day comes apart into single consonants, nothing of the query is
# left, and both texts score 0. The same search in English finds its text.
# Exits 0 while this is so, 1 when it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q bm25s==0.3.16 "numpy<3"
cat >"$folder/try.py" <<'PY'
import sys

import bm25s


def scores(texts, query):
    index = bm25s.BM25()
    index.index(bm25s.tokenize(texts, stopwords=None, show_progress=False), show_progress=False)
    words = bm25s.tokenize([query], stopwords=None, return_ids=False, show_progress=False)[0]
    print(f"{query!r} becomes {words}")
    return [float(score) for score in index.get_scores(words)] if words else [0.0] * len(texts)


english = scores(["a good day", "a great donation"], "day")
hindi = scores(["अच्छा दिन", "अच्छा दान"], "दिन")
print("bm25s", bm25s.__version__, "English:", english, "Hindi:", hindi)
sys.exit(0 if english[0] > 0 == english[1] and hindi == [0.0, 0.0] else 1)
PY
"$folder/venv/bin/python" "$folder/try.py" "$folder"
