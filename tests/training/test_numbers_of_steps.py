"""How many steps a training takes: enough for a warm-up where that can be, as many as what it is compared with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coresift.training.build import FEW, as_many_steps, few_steps_in_words, steps, with_steps
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


@given(st.integers(1, 400), st.integers(1, 200), st.integers(1, 60), st.sampled_from([1, 2, 4, 8]))
def test_a_comparison_takes_exactly_as_many_steps(n: int, taken: int, each: int, micro: int) -> None:
    given = TrainSettings(batch_size=8, micro_batch_size=micro)
    found = as_many_steps(given, n, taken=taken, used=taken * each)
    assert steps(found, n) == taken
    assert found == TrainSettings.model_validate(found.model_dump()) and found.batch_size == min(n, each)
