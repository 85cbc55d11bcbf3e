"""What is saved comes back, whole, and only to the work it belongs to."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from coresift.savepoints import Clock, InFolder, Nowhere, Within


def test_what_was_saved_last_comes_back(tmp_path: Path) -> None:
    kept = InFolder(tmp_path / "work", {"pool": "a"})
    assert kept.load("pass") is None and not (tmp_path / "work").exists()
    kept.save("pass", {"sums": np.arange(3.0), "done": np.array(4)})
    kept.save("pass", {"sums": np.arange(4.0), "done": np.array(5)})
    found = InFolder(tmp_path / "work", {"pool": "a"}).load("pass")
    assert found is not None and found["sums"].tolist() == [0.0, 1.0, 2.0, 3.0] and int(found["done"]) == 5
    assert kept.load("another pass") is None


def test_work_of_another_identity_does_not_see_it(tmp_path: Path) -> None:
    InFolder(tmp_path, {"pool": "a"}).save("pass", {"done": np.array(1)})
    assert InFolder(tmp_path, {"pool": "b"}).load("pass") is None


def test_a_kill_while_saving_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = InFolder(tmp_path, {})
    kept.save("pass", {"done": np.array(1)})

    def half(handle: BinaryIO, **arrays: np.ndarray) -> None:
        handle.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", half)
    with pytest.raises(KeyboardInterrupt):
        kept.save("pass", {"done": np.array(2)})
    found = kept.load("pass")
    assert found is not None and int(found["done"]) == 1


def test_nowhere_keeps_nothing() -> None:
    nowhere = Nowhere()
    nowhere.save("pass", {"done": np.array(1)})
    assert nowhere.load("pass") is None and not Clock(nowhere).due()


def test_a_clock_is_due_once_per_stretch(tmp_path: Path) -> None:
    assert Clock(InFolder(tmp_path, {}, every=0.0)).due()
    assert not Clock(InFolder(tmp_path, {}, every=1000.0)).due()


def test_parts_of_the_work_do_not_see_each_others_savepoints(tmp_path: Path) -> None:
    whole = InFolder(tmp_path, {}, every=7.0)
    pilot, other = Within(whole, "pilot"), Within(whole, "other")
    whole.save("pass", {"done": np.array(1)})
    assert pilot.load("pass") is None
    pilot.save("pass", {"done": np.array(2)})
    assert [int(each.load("pass")["done"]) for each in (whole, pilot)] == [1, 2]  # type: ignore[index]
    assert other.load("pass") is None and pilot.every == 7.0


def test_what_is_dropped_is_gone_and_nothing_else(tmp_path: Path) -> None:
    whole = InFolder(tmp_path, {"pool": 1})
    part = Within(whole, "pilot")
    for savepoints in (whole, part):
        savepoints.save("sums", {"sums": np.arange(3)})
    part.drop("sums")
    part.drop("never saved")
    assert part.load("sums") is None and whole.load("sums") is not None
    Nowhere().drop("sums")
