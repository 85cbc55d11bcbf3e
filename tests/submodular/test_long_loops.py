"""Loops that can take minutes on large pools say how far they are and how long the rest may take."""

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch

from coresift import progress
from coresift.submodular.clustering import k_means
from coresift.submodular.cover.certificate import certify
from coresift.submodular.cover.greedy import cover
from coresift.submodular.distances.stored import pairwise
from coresift.submodular.matching import match

ROWS = torch.randn(60, 12, generator=torch.Generator().manual_seed(0)).double()


class Clock:
    """Every look at it takes as long as a line is worth."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += progress.LINE_EVERY
        return self.now


def matched() -> None:
    match(ROWS, ROWS.sum(dim=0), 8, ridge=0.01)


def clustered() -> None:
    k_means(ROWS, 6, source=np.random.default_rng(0))


def certified() -> None:
    metric = pairwise(ROWS)
    certify(metric, cover(metric, 5).order)


@pytest.mark.parametrize(
    ("work", "label", "unit", "total"),
    [
        (matched, "matching pursuit", "picks", 8),
        (clustered, "k-means starts", "clusters", 6),
        (clustered, "k-means", "rounds at most", 100),
        (certified, "certificate: where to begin", "picks", 5),
        (certified, "certificate: ascent", "steps at most", 400),
    ],
)
def test_a_long_loop_says_how_far_it_is_and_what_is_left(
    work: Callable[[], None],
    label: str,
    unit: str,
    total: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(progress, "time", Clock())
    work()
    said = re.findall(rf"^{label}: (\d+)/(\d+) {unit}, about \d+ s left$", capsys.readouterr().err, re.MULTILINE)
    assert len(said) >= 2 and {int(whole) for _, whole in said} == {total}
    done = [int(part) for part, _ in said]
    assert done == sorted(set(done)) and done[-1] <= total


@pytest.mark.parametrize("work", [matched, clustered, certified])
def test_a_short_loop_says_nothing(work: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> None:
    work()
    assert capsys.readouterr() == ("", "")
