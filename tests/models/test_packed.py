"""Packed conversations are the conversations: in memory, on disk, and through any longest length."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from coresift.data.pool import Example, Message, Pool
from coresift.execution.local import LocalExecutor
from coresift.execution.processes import ProcessExecutor
from coresift.models import rendering
from coresift.models.packed import Packed, Packing
from coresift.models.render import Rendered, Renderer, RenderFault
from coresift.models.rendered_pool import render_pool, seen_as
from coresift.models.rendering import pack_pool

RENDERER = Renderer(tiny.tokenizer(), max_tokens=80)
ROWS = st.lists(
    st.none() | st.lists(st.tuples(st.integers(0, 2**17), st.booleans()), min_size=1, max_size=20), max_size=12
)


def rendered(pairs: list[tuple[int, bool]] | None, place: int) -> Rendered | None:
    if pairs is None:
        return None
    tokens, wanted = zip(*pairs, strict=True)
    return Rendered(f"e{place}", tokens, wanted)


@settings(deadline=None, max_examples=60)
@given(rows=ROWS)
def test_what_is_packed_comes_out_as_it_went_in(rows: list[list[tuple[int, bool]] | None], tmp_path_factory) -> None:
    packing, whole = Packing(), [rendered(pairs, place) for place, pairs in enumerate(rows)]
    for row in whole:
        packing.add(row)
    packed = packing.packed({}, {"moved": 2})
    folder = tmp_path_factory.mktemp("packed")
    packed.save(folder)
    for held in (packed, Packed.load(folder)):
        found = [held.row(at, f"e{at}") if held.lengths[at] else None for at in range(len(held))]
        assert found == whole and held.notes == {"moved": 2}
        assert held.targets(np.arange(len(whole))).tolist() == [row.n_targets if row else 0 for row in whole]
        assert held.fingerprint(np.arange(len(whole))) == packed.fingerprint(np.arange(len(whole)))


def test_a_pool_is_rendered_as_one_by_one_and_longer_rows_are_left_out() -> None:
    pool = tiny.pool(30)
    found, alone = render_pool(pool, RENDERER), [RENDERER.render(example) for example in pool]
    assert list(found.rows) == [row if len(row.tokens) <= 80 else None for row in alone]
    assert found.excluded == tuple(at for at, row in enumerate(alone) if len(row.tokens) > 80) != ()
    assert set(found.fits) | set(found.excluded) == set(range(30))
    view = found.at(np.array(found.fits)[::-1])
    assert list(view) == [found.rows[at] for at in reversed(found.fits)] and list(view[1:3]) == list(view)[1:3]
    assert view.lengths.tolist() == [len(row.tokens) for row in view]
    assert len(found.longest[0].tokens) == max(view.lengths)


def test_another_longest_length_needs_no_other_rendering() -> None:
    pool = tiny.pool(20)
    packed = pack_pool(pool, RENDERER)
    longer = render_pool(pool, Renderer(tiny.tokenizer(), max_tokens=4096))
    assert seen_as(pool, packed, 4096).rows == longer.rows and longer.excluded == ()


@pytest.mark.parametrize("made", [[], [3], [1, 7, 2], [8, 8]])
def test_parts_are_joined_to_what_they_are_packed_at_once(made: list[int]) -> None:
    rows = [tiny_row(place) for place in range(sum(made) + 1)]
    ends = np.cumsum([*made, 1]).tolist()
    parts = [packed_of(rows[begin:end]) for begin, end in zip([0, *ends], ends, strict=False)]
    joined, whole = Packed.joined(parts), packed_of(rows)
    assert same(joined, whole)


def tiny_row(place: int) -> Rendered | RenderFault:
    """Every fifth is a fault, one has a token that needs four bytes."""
    if place % 5 == 2:
        return RenderFault(f"e{place}", "no words")
    tokens = tuple(range(place + 1)) if place != 6 else (1 << 17,)
    return Rendered(f"e{place}", tokens, tuple(token % 3 == 1 for token in tokens), {"moved": 1})


def packed_of(rows: list[Rendered | RenderFault]) -> Packed:
    packing = Packing()
    for row in rows:
        packing.add(row if isinstance(row, Rendered) else None)
    faults = {place: row for place, row in enumerate(rows) if isinstance(row, RenderFault)}
    return packing.packed(faults, {"moved": len(rows) - len(faults)} if len(rows) > len(faults) else {})


def same(left: Packed, right: Packed) -> bool:
    arrays = ("tokens", "masks", "starts")
    equal = [np.array_equal(getattr(left, name), getattr(right, name)) for name in arrays]
    kinds = [getattr(left, name).dtype == getattr(right, name).dtype for name in arrays]
    return all(equal + kinds) and left.faults == right.faults and left.notes == right.notes


def test_several_processes_render_what_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "PART", 16)
    refused = Example(id="odd", messages=(Message("system", "Be brief."), *tiny.pool(1)[0].messages))
    renderer = Renderer(tiny.tokenizer("gemma"), max_tokens=80)
    pool = Pool([*tiny.pool(30), refused, *(replace(example, id=f"late-{example.id}") for example in tiny.pool(9))])
    several, one = pack_pool(pool, renderer, ProcessExecutor(2)), pack_pool(pool, renderer, LocalExecutor())
    assert same(several, one) and list(one.faults) == [30]


def test_many_rows_are_rendered_by_every_core_unless_the_process_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "cores", lambda: 4)
    asked = {"ours": True}
    monkeypatch.setattr(rendering, "may_spawn", lambda: asked["ours"])
    many = rendering._engine(rendering.MANY)
    assert isinstance(many, ProcessExecutor) and many.workers == 4
    assert isinstance(rendering._engine(rendering.MANY - 1), LocalExecutor)
    asked["ours"] = False
    assert isinstance(rendering._engine(rendering.MANY), LocalExecutor)


def test_a_token_costs_at_most_five_bytes(tmp_path: Path) -> None:
    packed = pack_pool(tiny.pool(200), RENDERER)
    packed.save(tmp_path)
    total = int(packed.starts[-1])
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 5 * total
    assert packed.tokens.nbytes + packed.masks.nbytes + packed.starts.nbytes <= 5 * total


def test_faults_are_kept_with_their_places(tmp_path: Path) -> None:
    packing = Packing()
    packing.add(None)
    packing.add(Rendered("b", (1, 2), (False, True)))
    packing.packed({0: RenderFault("a", "no words")}, {}).save(tmp_path)
    assert Packed.load(tmp_path).faults == {0: RenderFault("a", "no words")}


@pytest.mark.parametrize("skip", [False, True])
def test_the_longest_of_nothing_is_nothing(skip: bool) -> None:
    found = seen_as(tiny.pool(3), pack_pool(tiny.pool(3), RENDERER), 1, skip_bad_rows=skip)
    assert found.longest == [] and found.fits == ()
