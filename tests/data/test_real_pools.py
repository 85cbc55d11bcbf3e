"""Real pools of every format are read whole, and fast."""

import os
import time
from pathlib import Path

import pytest

from coresift.data import describe, read_pool

SHARED = Path(os.environ.get("CORESIFT_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "data"

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data here (set CORESIFT_SHARED)")


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("alpaca_gpt4_2600.json", 2600),
        ("gsm8k_train.jsonl", 7473),
        ("gsm8k_test.jsonl", 1319),
        ("roleplay_1923_sharegpt.json", 1923),
        ("mixture_messages.jsonl", 18927),
    ],
)
def test_a_real_pool_has_every_row_and_no_fault(name: str, count: int) -> None:
    pool = read_pool(SHARED / name)
    assert (len(pool), pool.skipped) == (count, ())


def test_a_mixture_keeps_its_five_sources() -> None:
    told = describe(read_pool(SHARED / "mixture_messages.jsonl"))
    assert told["sources"] == {
        "gsm8k": 7473,
        "codegen": 4535,
        "alpaca_gpt4": 2600,
        "toolformer": 2396,
        "roleplay": 1923,
    }
    assert told["with_system"] == 437


def test_the_same_conversations_have_the_same_content_in_two_formats() -> None:
    mixture = {example.content_key for example in read_pool(SHARED / "mixture_messages.jsonl")}
    for name in ("alpaca_gpt4_2600.json", "gsm8k_train.jsonl", "roleplay_1923_sharegpt.json"):
        found = sum(example.content_key in mixture for example in read_pool(SHARED / name))
        assert found == len(read_pool(SHARED / name)), name


def test_nineteen_thousand_rows_take_a_few_seconds() -> None:
    began = time.process_time()
    read_pool(SHARED / "mixture_messages.jsonl")
    assert time.process_time() - began < 8
