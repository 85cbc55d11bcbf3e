"""torch is loaded when it is first used, and not before: wrong commands and settings are told without it."""

import subprocess
import sys

import pytest
import torch

from coresift import lazy

WRONG = (
    ("rum",),
    ("bench", "nothing"),
    ("run", "no-such-recipe"),
    ("run", "demo", "--set", "nonsense=1"),
    ("run", "demo", "--set", "pool.pth=1"),
    ("demo", "--set", "method.alfa=0.5"),
    ("report", "demo", "--set", "train.epochs=-1"),
    ("select", "pool.jsonl", "--model", "m", "--out", "o", "--method", "brif"),
    ("select", "pool.jsonl", "--model", "m", "--out", "o", "--set", "warmup.train.epocs=1"),
)


def test_what_is_asked_of_it_is_torchs_own() -> None:
    assert lazy.torch.zeros is torch.zeros and lazy.torch.nn is torch.nn
    with pytest.raises(AttributeError, match="no attribute 'zeroes'"):
        lazy.torch.zeroes  # noqa: B018


def test_wrong_commands_and_settings_are_told_before_torch_is_loaded() -> None:
    lines = f"""
import sys
from coresift.cli.main import run_command
codes = [run_command(list(words)) for words in {WRONG!r}]
print(*codes, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2"] * len(WRONG) + ["False"]
    assert done.stderr.count("error: ") == len(WRONG)
