"""When memory runs out, one sentence says which setting to lower, whichever library asked for it."""

import numpy as np
import pytest
import torch

from coresift.errors import MemoryShortError
from coresift.memory import fitting

ADVICE = "Lower extract.batch_tokens."


class OutOfMemoryError(RuntimeError):
    """By the name of torch's own, which needs a GPU to be raised."""


def test_what_cannot_be_allocated_is_said_with_the_advice() -> None:
    with (
        pytest.raises(
            MemoryShortError, match=r"\(4000.0 TB more were asked for, .* of main memory are free\). Lower ex"
        ),
        fitting(ADVICE),
    ):
        torch.empty(10**15)
    with (
        pytest.raises(
            MemoryShortError, match=r"out of memory \(.* are free\). Lower extract.batch_tokens. Run the same"
        ),
        fitting(ADVICE),
    ):
        np.empty(10**15)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "of main memory are free"),
        (OSError(12, "Cannot allocate memory"), "of main memory are free"),
        (RuntimeError("mmap: Cannot allocate memory (os error 12)"), "of main memory are free"),
        (
            OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 15.77 GiB"),
            "Tried to allocate 2.50 GiB. GPU 0",
        ),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), "on the GPU"),
    ],
)
def test_every_way_to_say_it_is_understood(error: Exception, said: str) -> None:
    with pytest.raises(MemoryShortError, match=f"{said}.*Lower extract.batch_tokens"), fitting(ADVICE):
        raise error


def test_the_innermost_advice_is_given_and_other_errors_pass() -> None:
    with pytest.raises(MemoryShortError, match="inner"), fitting("outer"), fitting("inner"):
        raise MemoryError
    with pytest.raises(RuntimeError, match="another"), fitting(ADVICE):
        raise RuntimeError("another")


def test_a_function_may_carry_its_advice() -> None:
    @fitting(ADVICE)
    def double(value: int) -> int:
        if value < 0:
            raise MemoryError
        return 2 * value

    assert double(3) == 6
    with pytest.raises(MemoryShortError, match="Lower extract.batch_tokens"):
        double(-1)
