"""Artefacts are whole or absent, made once by whoever comes first, and verified."""

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from coresift.artefacts.locks import holder, locked
from coresift.artefacts.store import COST, IDENTITY, WHOLE, Artefact, Store, Work, damaged_files
from coresift.errors import RunError

SPAWN = multiprocessing.get_context("spawn")


def written(work: Work, text: str = "payload") -> None:
    (work.folder / "inner").mkdir(exist_ok=True)
    (work.folder / "inner" / "file.txt").write_text(text)
    work.add(seconds=1.5, tokens=10)


def made(root: Path, **identity: object) -> Artefact:
    store = Store(root)
    return store.ensure(store.artefact("thing", identity), written)


def test_an_artefact_is_made_once_and_then_found(tmp_path: Path) -> None:
    calls: list[Work] = []
    for _ in range(2):
        store = Store(tmp_path)
        artefact = store.ensure(store.artefact("thing", {"a": 1}), lambda work: (calls.append(work), written(work))[1])
    assert len(calls) == 1 and artefact.is_whole
    assert artefact.cost == {"seconds": 1.5, "tokens": 10, "flops": None}
    assert json.loads((artefact.folder / IDENTITY).read_text()) == {"a": 1}
    assert list(json.loads((artefact.folder / WHOLE).read_text())["files"]) == ["inner/file.txt"]


def test_the_order_of_an_identity_does_not_matter_and_its_values_do(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.artefact("thing", {"a": 1, "b": 2}).name == store.artefact("thing", {"b": 2, "a": 1}).name
    assert store.artefact("thing", {"a": 1}).name != store.artefact("thing", {"a": 2}).name
    assert store.artefact("thing", {"a": 1}).name != store.artefact("other", {"a": 1}).name


def test_a_maker_that_fails_leaves_nothing_whole_and_the_next_goes_on_with_its_work_and_costs(tmp_path: Path) -> None:
    store = Store(tmp_path)
    artefact = store.artefact("thing", {"a": 1})

    def fails(work: Work) -> None:
        (work.folder / "half").write_text("first half")
        work.add(seconds=2.0)
        raise ValueError("on the way")

    with pytest.raises(ValueError, match="on the way"):
        store.ensure(artefact, fails)
    assert not artefact.is_whole
    seen: list[str] = []
    store.ensure(artefact, lambda work: (seen.append((work.folder / "half").read_text()), work.add(seconds=1.0))[1])
    assert seen == ["first half"] and artefact.cost["seconds"] == 3.0


def test_several_artefacts_are_made_in_one_go_and_only_those_that_miss(tmp_path: Path) -> None:
    made(tmp_path, part=1)
    store = Store(tmp_path)
    wanted = [store.artefact("thing", {"part": part}) for part in (1, 2, 3)]
    asked: list[list[str]] = []

    def make(works: list[Work]) -> None:
        asked.append([work.artefact.name for work in works])
        for work in works:
            written(work)

    store.ensure_all(wanted, make)
    assert asked == [[wanted[1].name, wanted[2].name]] and all(each.is_whole for each in wanted)


@pytest.mark.parametrize("damage", ["flip", "cut", "delete", "mark"])
def test_damage_is_named_and_made_again(tmp_path: Path, damage: str) -> None:
    artefact = made(tmp_path, a=1)
    victim = artefact.folder / ("inner/file.txt" if damage != "mark" else WHOLE)
    if damage == "flip":
        victim.write_text("pbyload")
    elif damage == "cut":
        victim.write_text("pay")
    elif damage == "delete":
        victim.unlink()
    else:
        victim.write_text("{")
    said: list[str] = []
    Store(tmp_path).ensure(Store(tmp_path).artefact("thing", {"a": 1}), written, say=said.append)
    assert (artefact.folder / "inner" / "file.txt").read_text() == "payload" and damaged_files(artefact.folder) == []
    assert said == [
        f"damaged: {artefact.name} ({'whole.json' if damage == 'mark' else 'inner/file.txt'}); it is made again"
    ]


def test_of_sharded_kinds_intact_files_survive_damage(tmp_path: Path) -> None:
    store = Store(tmp_path)
    artefact = store.artefact("gradients", {"a": 1})

    def make(work: Work) -> None:
        for name in ("one", "two"):
            if not (work.folder / name).exists():
                (work.folder / name).write_text(name)
                work.add(seconds=1.0)

    store.ensure(artefact, make)
    (artefact.folder / "two").write_text("owt")
    store.ensure(store.artefact("gradients", {"a": 1}), make, say=lambda line: None)
    assert artefact.cost["seconds"] == 3.0, "one file was made again, not both"


def test_an_edited_identity_is_refused(tmp_path: Path) -> None:
    artefact = made(tmp_path, a=1)
    (artefact.folder / IDENTITY).write_text('{"a": 2}')
    with pytest.raises(
        RunError, match=r"is another artefact than its name says:\n  a: the folder has 2, this run needs 1"
    ):
        made(tmp_path, a=1)


def test_another_store_is_read_and_never_written(tmp_path: Path) -> None:
    there = made(tmp_path / "theirs", a=1)
    mine = Store(tmp_path / "mine", beside=(tmp_path / "theirs",))
    assert mine.ensure(mine.artefact("thing", {"a": 1}), written).folder == there.folder
    assert not (tmp_path / "mine").exists()
    (there.folder / "inner" / "file.txt").write_text("pbyload")
    with pytest.raises(RunError, match="is damaged .* and belongs to another store. Delete this folder"):
        mine.ensure(mine.artefact("thing", {"a": 1}), written)


def _slow(root: str, number: int) -> None:
    store = Store(Path(root))

    def make(work: Work) -> None:
        time.sleep(0.3)
        with (Path(root) / "makers").open("a") as handle:
            handle.write(f"{number}\n")
        written(work)

    store.ensure(store.artefact("thing", {"a": 1}), make, say=lambda line: None)


def test_of_several_processes_one_makes_and_the_others_wait_and_find(tmp_path: Path) -> None:
    processes = [SPAWN.Process(target=_slow, args=(str(tmp_path), number)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len((tmp_path / "makers").read_text().splitlines()) == 1
    assert Store(tmp_path).artefact("thing", {"a": 1}).cost["seconds"] == 1.5, "nobody's cost is counted twice"


def _holds(path: str) -> None:
    with locked(Path(path), what="it", say=lambda line: None):
        Path(path).with_suffix(".held").touch()
        time.sleep(60)


def test_what_a_killed_process_held_is_free_at_once(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    process = SPAWN.Process(target=_holds, args=(str(lock),))
    process.start()
    while not lock.with_suffix(".held").exists():
        time.sleep(0.01)
    assert holder(lock) == f"process {process.pid}"
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert holder(lock) is None
    with locked(lock, what="it", say=lambda line: pytest.fail(line)):
        assert holder(lock) == f"process {os.getpid()}"
    assert not lock.exists()


def test_a_process_number_that_was_given_away_holds_nothing(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    with locked(lock, what="it", say=print):
        mine = json.loads(lock.read_text())
    lock.write_text(json.dumps({**mine, "began": mine["began"] - 100.0}))
    assert holder(lock) is None


def test_a_silent_holder_on_another_host_is_gone_after_a_while(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    lock.write_text(json.dumps({"host": "elsewhere", "pid": 1, "began": 0.0}))
    assert holder(lock) == "process 1 on elsewhere"
    os.utime(lock, (time.time() - 1000, time.time() - 1000))
    assert holder(lock) is None


def test_a_lock_that_was_cut_is_waited_for_no_longer_than_a_silent_one(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    lock.write_text("{")
    assert holder(lock) == "another process"
    os.utime(lock, (time.time() - 1000, time.time() - 1000))
    assert holder(lock) is None


def test_the_cost_is_no_payload(tmp_path: Path) -> None:
    artefact = made(tmp_path, a=1)
    (artefact.folder / COST).write_text('{"seconds": 9.0, "tokens": null, "flops": null}')
    assert artefact.damaged() == [] and artefact.cost["seconds"] == 9.0
