"""Benchmarks from the command line, on one quick product instead of many."""

from functools import partial

import pytest


@pytest.fixture
def bench(coresift, monkeypatch: pytest.MonkeyPatch):
    """Run `coresift bench ARGUMENTS`."""
    monkeypatch.setattr("coresift.bench.machine.LONG_ENOUGH", 1e-6)
    return partial(coresift, "bench")
