"""Randomness has names: the same name gives the same numbers everywhere, and nothing global is touched."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from coresift.seeds import derive, generator


@given(st.integers(), st.lists(st.text() | st.integers(), max_size=4))
def test_a_derived_seed_fits_63_bits_and_repeats(seed: int, names: list[str | int]) -> None:
    assert 0 <= derive(seed, *names) < 2**63
    assert derive(seed, *names) == derive(seed, *names)


def test_seed_and_every_name_matter() -> None:
    made = [
        derive(0),
        derive(1),
        derive(0, "a"),
        derive(0, "b"),
        derive(0, "a", "b"),
        derive(0, "b", "a"),
        derive(0, "ab"),
    ]
    assert len(set(made)) == len(made)


def test_a_derived_seed_is_the_same_on_every_machine() -> None:
    # printf '0\x1fpilot' | sha256sum, first 8 bytes, halved
    assert derive(0, "pilot") == 6546539499592515922


def test_generators_of_one_name_agree_and_of_two_names_do_not() -> None:
    first, again, other = (generator(0, name).random(8) for name in ("a", "a", "b"))
    assert (first == again).all()
    assert (first != other).any()


def test_the_global_generator_is_left_alone() -> None:
    before = np.random.get_state()[1].tolist()  # type: ignore[index,union-attr]
    generator(0, "a").random(8)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index,union-attr]
