"""Hashed n-grams and importance weights: worked by hand, and those of the published package where it is installed."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny

from coresift.data.pool import Pool
from coresift.extract.embeddings import text_of
from coresift.extract.ngrams import extract_importance, log_ratios, ngram_buckets, shares, words_of
from coresift.features.importance import ImportanceSpec
from coresift.features.store import FeatureStore

POOL = tiny.pool(11)
TARGET = Pool([tiny.example("Question 3: name the number 21", "the answer is 21", id="t")])


def weights(folder: Path, **settings: object) -> np.ndarray:
    spec = ImportanceSpec(**settings)  # type: ignore[arg-type]
    store = FeatureStore(folder, identity={}, ids=POOL.ids, shard_rows=4)
    extract_importance(POOL, TARGET, store, spec)
    return store[spec][:, 0].numpy()


def test_words_are_runs_of_word_characters_and_of_signs_in_lower_case() -> None:
    assert words_of("It's 3.5 °C -- Größe_1!") == ["it", "'", "s", "3", ".", "5", "°", "c", "--", "größe_1", "!"]
    assert words_of(" \n") == []


def test_a_text_of_w_words_has_w_words_and_one_pair_less() -> None:
    found = ngram_buckets("a b a b", ngrams=2, buckets=10_000)
    single, pair = found[:4], found[4:]
    assert single[0] == single[2] and single[1] == single[3] and pair[0] == pair[2] != pair[1]
    assert [len(ngram_buckets(text, ngrams=3, buckets=7)) for text in ("", "a", "a b", "a b c d")] == [0, 1, 3, 9]


def test_shares_and_ratios_of_a_worked_pair() -> None:
    pool, target = shares([[0, 0, 1], [1]], 3), shares([[0]], 3)
    assert pool.tolist() == [0.5, 0.5, 0.0] and target.tolist() == [1.0, 0.0, 0.0]
    expected = [np.log(2), np.log(1e-8) - np.log(0.5), 0.0]
    np.testing.assert_allclose(log_ratios(pool, target), expected, atol=1e-6)
    assert shares([[0]], 3, smoothing=1.0).tolist() == [0.5, 0.25, 0.25] and shares([], 2).tolist() == [0.0, 0.0]


def test_weights_are_counts_times_ratios_whatever_the_shards(tmp_path: Path) -> None:
    hashed = [ngram_buckets(text_of(each), ngrams=2, buckets=50) for each in POOL]
    there = shares([ngram_buckets(text_of(TARGET[0]), ngrams=2, buckets=50)], 50)
    ratios = log_ratios(shares(hashed, 50), there)
    expected = [float(np.bincount(each, minlength=50) @ ratios) for each in hashed]
    np.testing.assert_allclose(weights(tmp_path / "sum", buckets=50), expected, rtol=1e-6)
    means = [value / len(each) for value, each in zip(expected, hashed, strict=True)]
    np.testing.assert_allclose(weights(tmp_path / "mean", buckets=50, per_ngram=True), means, rtol=1e-6)


def test_the_example_that_is_the_target_weighs_most_per_ngram_and_smoothing_brings_the_others_nearer(
    tmp_path: Path,
) -> None:
    plain, smooth = (weights(tmp_path / str(each), per_ngram=True, smoothing=each) for each in (0.0, 0.001))
    assert plain.argmax() == smooth.argmax() == 3
    assert np.ptp(smooth) < np.ptp(plain) / 2


def test_weights_are_those_of_the_published_package(tmp_path: Path) -> None:
    published = pytest.importorskip("data_selection")
    files = {name: tmp_path / f"{name}.jsonl" for name in ("pool", "target")}
    for path, pool in zip(files.values(), (POOL, TARGET), strict=True):
        path.write_text("".join(json.dumps({"text": text_of(each)}) + "\n" for each in pool))
    theirs = published.HashedNgramDSIR(
        [str(files["pool"])], [str(files["target"])], cache_dir=str(tmp_path / "cache"), num_proc=1
    )
    theirs.fit_importance_estimator(num_tokens_to_fit="all")
    theirs.compute_importance_weights()
    expected = np.load(tmp_path / "cache" / "log_importance_weights" / "0.npy")
    np.testing.assert_allclose(weights(tmp_path / "ours"), expected, rtol=1e-6)
