"""A warm-up of a small pool takes a smaller batch where that is asked for, and says when it is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coresift.training.build import FEW, few_steps_in_words, steps, with_steps
from coresift.training.settings import TrainSettings

DEFAULT = TrainSettings(epochs=1)


@pytest.mark.parametrize(
    ("n", "batch", "micro", "taken"),
    [
        (20, 2, 2, 10),
        (15, 1, 1, 15),
        (10, 1, 1, 10),
        (5, 1, 1, 5),
        (130, 14, 2, 10),
        (1280, 128, 2, 10),
        (5000, 128, 2, 40),
    ],
)
def test_the_batch_is_the_largest_with_enough_steps(n: int, batch: int, micro: int, taken: int) -> None:
    found = with_steps(DEFAULT, n, 10)
    assert (found.batch_size, found.micro_batch_size, steps(found, n)) == (batch, micro, taken)


@given(
    n=st.integers(1, 5000), least=st.integers(0, 30), batch=st.integers(1, 64), epochs=st.sampled_from([0.5, 1.0, 3.0])
)
def test_a_smaller_batch_is_a_valid_setting_and_never_larger(n: int, least: int, batch: int, epochs: float) -> None:
    given = TrainSettings(batch_size=2 * batch, micro_batch_size=2, epochs=epochs)
    found = with_steps(given, n, least)
    assert found == TrainSettings.model_validate(found.model_dump()) and found.batch_size <= given.batch_size
    assert steps(found, n) >= least or found.batch_size == 1
    assert found == given or steps(given, n) < least


def test_few_steps_are_a_warning_that_says_what_follows() -> None:
    assert few_steps_in_words(FEW) is None
    assert "the warm-up has 1 optimizer step, fewer than 10: LoRA's B stays near" in (few_steps_in_words(1) or "")
    assert "Lower warmup.train.batch_size" in (few_steps_in_words(9) or "")
