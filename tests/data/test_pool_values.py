"""A pool is immutable, finds its examples by id, and its ids and fingerprint depend on content alone."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coresift.data import Example, Message, Pool, read_pool
from coresift.data.splits import held_out_groups, random_positions
from coresift.errors import DataError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda text: text.strip() != ""
)
PAIRS = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8, unique=True)


def example(name: str, ask: str = "Q", reply: str = "A", source: str = "") -> Example:
    return Example(id=name, messages=(Message("user", ask), Message("assistant", reply)), source=source)


def read(folder: Path, pairs: list[tuple[str, str]]) -> Pool:
    path = folder / "pool.jsonl"
    path.write_text("".join(json.dumps({"prompt": ask, "completion": reply}) + "\n" for ask, reply in pairs))
    return read_pool(path)


@given(PAIRS, st.randoms(use_true_random=False))
def test_ids_do_not_depend_on_the_order_of_distinct_rows(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]], chance: random.Random
) -> None:
    folder = tmp_path_factory.mktemp("pool")
    before = {tuple(message.content for message in one.messages): one.id for one in read(folder, pairs)}
    chance.shuffle(pairs)
    after = {tuple(message.content for message in one.messages): one.id for one in read(folder, pairs)}
    assert before == after


def test_copies_are_numbered_and_reported(tmp_path: Path) -> None:
    pool = read(tmp_path, [("a", "b"), ("c", "d"), ("a", "b"), ("a", "b")])
    key = pool[0].content_key
    assert (pool.ids[0], pool.ids[2], pool.ids[3]) == (key, f"{key}-2", f"{key}-3")
    assert pool.duplicates == ((0, 2, 3),)


def test_the_source_is_no_part_of_the_id_but_of_the_fingerprint() -> None:
    here, there = example("x", source="here"), example("x", source="there")
    assert here.content_key == there.content_key
    assert Pool([here]).fingerprint != Pool([there]).fingerprint


def test_turns_cannot_be_confused_with_text_that_looks_like_turns() -> None:
    one = example("x", "a", "b\x1euser\x1fc\x1eassistant\x1fd")
    two = Example(id="x", messages=(*example("x", "a", "b").messages, *example("x", "c", "d").messages))
    assert one.content_key != two.content_key


def test_the_fingerprint_is_the_same_on_every_machine(tmp_path: Path) -> None:
    pool = read(tmp_path, [("Größe?", "3"), ("Add", "4")])
    assert pool.ids == ("6e2ec10662c6026b", "c14a62d2f8d05732")
    assert pool.fingerprint == "2455095e87893317"


def test_the_fingerprint_depends_on_the_order(tmp_path: Path) -> None:
    pool = read(tmp_path, [("a", "b"), ("c", "d")])
    assert pool.take([1, 0]).fingerprint != pool.fingerprint
    assert pool.take([0, 1]).fingerprint == pool.fingerprint


def test_ids_are_found_at_their_positions(tmp_path: Path) -> None:
    pool = read(tmp_path, [("a", "b"), ("c", "d"), ("e", "f")])
    assert [pool.position(name) for name in pool.ids] == [0, 1, 2]
    taken = pool.take(np.array([2, 0]))
    assert taken.position(pool[2].id) == 0
    assert taken.row(0) == pool.row(2)
    assert taken[:1] == (pool[2],)
    with pytest.raises(DataError, match=r"pool\.jsonl: no example has the id 'nobody'"):
        pool.position("nobody")


def test_nothing_in_a_pool_can_be_changed(tmp_path: Path) -> None:
    pool = read(tmp_path, [("a", "b")])
    with pytest.raises(TypeError):
        pool[0] = example("x")  # type: ignore[index]
    with pytest.raises(TypeError):
        pool.row(0)["prompt"] = "changed"  # type: ignore[index]
    with pytest.raises(AttributeError):
        pool[0].id = "changed"  # type: ignore[misc]
    for name in ("skipped", "origin", "ids"):
        with pytest.raises(AttributeError):
            setattr(pool, name, ())


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ([0, 5], r"position 5 \(number 2 of those to take\) is not in the pool\. Positions run from 0 to 1"),
        ([-1], r"position -1 \(number 1 of those to take\) is not in the pool"),
        ([1, 0, 1], r"position 1 comes twice\. Take every position at most once"),
        ([], r"no examples\. A pool needs at least one usable record"),
    ],
)
def test_positions_that_cannot_be_taken_are_named(positions: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Pool([example("x"), example("y")]).take(positions)


def test_a_pool_checks_what_it_is_made_of() -> None:
    with pytest.raises(DataError, match=r"here: examples 1 and 2 share the id 'x'\. Ids must be unique"):
        Pool([example("x"), example("x", "other")], origin="here")
    with pytest.raises(DataError, match=r"pool: 1 rows for 2 examples\. Pass one row per example"):
        Pool([example("x"), example("y")], rows=[{}])


def test_a_pool_made_in_code_has_rows_that_can_be_read_back() -> None:
    row = Pool([example("x", source="here")]).row(0)
    assert row["messages"][1] == {"role": "assistant", "content": "A"}
    assert (row["id"], row["source"]) == ("x", "here")


def test_an_example_knows_where_it_stood(tmp_path: Path) -> None:
    pool = read(tmp_path, [("a", "b"), ("c", "d")])
    assert pool.where(1) == f"{tmp_path}/pool.jsonl, line 2"
    assert pool.take([1]).where(0) == pool.where(1)
    assert Pool([example("x"), example("y")]).where(1) == "pool, example 2"


def test_copies_can_be_dropped_and_are_counted(tmp_path: Path) -> None:
    pool = read(tmp_path, [("a", "b"), ("c", "d"), ("a", "b"), ("a", "b")])
    alone = pool.without_duplicates()
    assert alone.ids == pool.take([0, 1]).ids
    assert alone.notes.sentences == ("dropped exact copies of an earlier row (2 rows)",)
    assert alone.without_duplicates() is alone


def test_what_is_left_out_later_is_listed_like_what_was_skipped(tmp_path: Path) -> None:
    pool = read(tmp_path, [("a", "b"), ("c", "d"), ("e", "f")])
    rest = pool.leave_out({1: "too odd"})
    assert rest.ids == (pool.ids[0], pool.ids[2])
    (left,) = rest.skipped
    assert (left.record, left.reason, left.row) == (2, "too odd", {"prompt": "c", "completion": "d"})
    with pytest.raises(DataError, match=r"one of the positions \[7\] is not in the pool"):
        pool.leave_out({7: "?"})
    with pytest.raises(DataError, match=r"no examples\. A pool needs at least one usable record"):
        pool.leave_out(dict.fromkeys(range(3), "?"))


def test_ids_from_the_content_avoid_those_that_rows_have(tmp_path: Path) -> None:
    key = read(tmp_path, [("a", "b")])[0].content_key
    rows = [
        {"prompt": "a", "completion": "b"},
        {"prompt": "c", "completion": "d", "id": key},
        {"prompt": "a", "completion": "b"},
    ]
    path = tmp_path / "pool.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_pool(path).ids == (f"{key}-2", key, f"{key}-3")


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=12))
def test_a_pool_that_was_read_equals_the_one_made_of_its_examples(
    tmp_path_factory: pytest.TempPathFactory, asks: list[str]
) -> None:
    packed = read(tmp_path_factory.mktemp("pool"), [(ask, "x") for ask in asks])
    made = Pool(list(packed), rows=[packed.row(place) for place in range(len(packed))])
    assert (made.ids, made.fingerprint, made.duplicates) == (packed.ids, packed.fingerprint, packed.duplicates)
    assert list(made.sources) == list(packed.sources)
    chosen = list(range(len(asks)))[::-2]
    assert (made.take(chosen).ids, list(made.take(chosen))) == (packed.take(chosen).ids, list(packed.take(chosen)))
    assert made.take(chosen).fingerprint == packed.take(chosen).fingerprint


GROUPS = st.lists(st.integers(0, 6), min_size=2, max_size=30)


@given(GROUPS, st.integers(1, 29), st.integers(0, 3))
def test_a_held_out_part_never_splits_a_group(kinds: list[int], size: int, seed: int) -> None:
    size = min(size, len(kinds) - 1)
    places = {kind: [place for place, each in enumerate(kinds) if each == kind] for kind in kinds}
    groups = [group for group in places.values() if len(group) > 1]
    smallest = min(map(len, places.values()))
    if len(places) == 1:
        with pytest.raises(DataError, match=r"cannot hold out a part of \d+ examples that are all equal"):
            held_out_groups(len(kinds), size, groups, seed=seed, name="x")
        return
    held = held_out_groups(len(kinds), size, groups, seed=seed, name="x")
    assert len(set(held)) == len(held) > 0
    assert len(held) <= size or smallest > size
    assert {kinds[place] for place in held}.isdisjoint(kinds[place] for place in set(range(len(kinds))) - set(held))


def test_without_groups_a_held_out_part_is_the_usual_draw() -> None:
    assert held_out_groups(50, 7, [], seed=3, name="x") == random_positions(50, 7, seed=3, name="x")
    twins = [(place, place + 30) for place in range(30)]
    assert len(held_out_groups(60, 20, twins, seed=0, name="x")) == 20
    for size in (0, 50):
        with pytest.raises(
            DataError, match=rf"cannot hold out {size} of 50 examples: the size must lie between 1 and 49"
        ):
            held_out_groups(50, size, [], seed=0, name="x")


def test_a_random_part_is_seeded_named_and_nested() -> None:
    drawn = random_positions(100, 20, seed=0, name="warm-up")
    assert len(set(drawn)) == 20
    assert drawn == random_positions(100, 20, seed=0, name="warm-up")
    assert drawn[:5] == random_positions(100, 5, seed=0, name="warm-up")
    assert drawn != random_positions(100, 20, seed=1, name="warm-up")
    assert drawn != random_positions(100, 20, seed=0, name="test")


@pytest.mark.parametrize("size", [0, 4, -1])
def test_a_random_part_has_a_size_between_one_and_all(size: int) -> None:
    with pytest.raises(
        DataError, match=rf"cannot draw {size} of 3 examples for 'x': the size must lie between 1 and 3"
    ):
        random_positions(3, size, seed=0, name="x")
