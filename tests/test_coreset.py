"""A coreset is immutable, comes back as it was saved, and is refused when its files are not whole."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from coresift.coreset import Coreset
from coresift.data.pool import Pool
from coresift.errors import SelectionError


def coreset(**changes: Any) -> Coreset:
    facts = {"alpha": 0.5, "gains": [2.0, 1.0]}
    made = {"indices": [7, 2], "weights": [3, 1], "ids": ("g", "b"), "diagnostics": facts}
    return Coreset(**{**made, "provenance": {"method": "brief", "seed": 3}, **changes})


def test_it_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    coreset().save(tmp_path / "run")
    loaded = Coreset.load(tmp_path / "run")
    assert loaded.indices.tolist() == [7, 2] and loaded.weights.tolist() == [3.0, 1.0] and loaded.ids == ("g", "b")
    assert loaded.diagnostics == coreset().diagnostics and loaded.provenance == coreset().provenance


def test_the_files_hold_what_the_run_folder_promises(tmp_path: Path) -> None:
    coreset().save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["coreset.json", "coreset.npz"]
    with np.load(tmp_path / "coreset.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["subset", "weights"]
        assert arrays["subset"].dtype == np.int64 and arrays["weights"].dtype == np.float32
    facts = json.loads((tmp_path / "coreset.json").read_text())
    assert facts["ids"] == ["g", "b"] and facts["method"] == "brief" and facts["effective_size"] == 1.6


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        coreset().save(tmp_path / name)
    for file in ("coreset.npz", "coreset.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_saving_again_replaces_the_old_files(tmp_path: Path) -> None:
    coreset().save(tmp_path)
    coreset(weights=[1, 1]).save(tmp_path)
    assert Coreset.load(tmp_path).weights.tolist() == [1.0, 1.0]


def test_effective_size_is_the_worth_of_the_weights() -> None:
    assert coreset(weights=[5, 5]).effective_size == 2.0
    assert coreset(weights=[1e6, 1]).effective_size == pytest.approx(1.0, abs=1e-5)


def test_arrays_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        coreset().indices[0] = 1
    with pytest.raises(AttributeError):
        coreset().ids = ()  # type: ignore[misc]


def test_the_callers_array_stays_the_callers() -> None:
    mine = np.array([7, 2])
    made = coreset(indices=mine)
    mine[0] = 1
    assert made.indices.tolist() == [7, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": ("g",)}, "1 ids for 2 picks"),
        ({"weights": [1.0]}, r"\(2,\) picks and \(1,\) weights"),
        ({"weights": [1.0, -1.0]}, "weight -1.0 of pick 1"),
        ({"indices": [2, 2]}, "negative or repeated"),
    ],
)
def test_a_coreset_that_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        coreset(**changes)


def test_an_unknown_prefix_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SelectionError, match=r"no prefix of size 1: this coreset knows \[2\]"):
        coreset().prefix(1)


def damage(folder: Path, name: str) -> None:
    npz, facts = folder / "coreset.npz", folder / "coreset.json"
    match name:
        case "no npz":
            npz.unlink()
        case "no json":
            facts.unlink()
        case "cut npz":
            npz.write_bytes(npz.read_bytes()[:40])
        case "empty npz":
            npz.write_bytes(b"")
        case "other arrays":
            with npz.open("wb") as handle:
                np.savez(handle, subset=np.arange(2))
        case "pickle":
            with npz.open("wb") as handle:
                np.savez(handle, subset=np.array([{}, {}], dtype=object), weights=np.ones(2))
        case "cut json":
            facts.write_text(facts.read_text()[:20])
        case "list json":
            facts.write_text("[]")
        case "no ids":
            facts.write_text("{}")
        case "other coreset":
            with npz.open("wb") as handle:
                np.savez(handle, subset=np.array([7, 3]), weights=np.ones(2, np.float32))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no npz", r"coreset.npz: not found"),
        ("no json", r"coreset.json: not found"),
        ("cut npz", r"coreset.npz: not a readable npz file"),
        ("empty npz", r"coreset.npz: not a readable npz file"),
        ("other arrays", r"coreset.npz: no array 'weights'"),
        ("pickle", r"coreset.npz: not a readable npz file"),
        ("cut json", r"coreset.json: not readable as JSON"),
        ("list json", r"coreset.json: a list, not an object"),
        ("no ids", r"coreset.json: 'ids' or 'diagnostics' is missing"),
        ("other coreset", r"are of different coresets"),
    ],
)
def test_files_that_are_not_whole_are_refused(tmp_path: Path, name: str, message: str) -> None:
    coreset().save(tmp_path)
    damage(tmp_path, name)
    with pytest.raises(SelectionError, match=message):
        Coreset.load(tmp_path)


def chosen_from() -> Pool:
    return tiny.pool(9)


def test_the_chosen_rows_are_written_with_the_coreset_or_alone(tmp_path: Path) -> None:
    pool, made = chosen_from(), coreset(ids=("e7", "e2"))
    made.save(tmp_path / "with", pool=pool)
    made.write_rows(tmp_path / "alone.jsonl", pool)
    rows = [json.loads(line) for line in (tmp_path / "with" / "coreset.jsonl").read_text().splitlines()]
    assert [(row["coresift_id"], row["coresift_weight"]) for row in rows] == [("e7", 3.0), ("e2", 1.0)]
    assert (tmp_path / "alone.jsonl").read_bytes() == (tmp_path / "with" / "coreset.jsonl").read_bytes()


def test_positions_stand_for_ids_that_were_not_given(tmp_path: Path) -> None:
    coreset(ids=("7", "2")).write_rows(tmp_path / "rows.jsonl", chosen_from())
    assert '"coresift_id": "e7"' in (tmp_path / "rows.jsonl").read_text()


@pytest.mark.parametrize(
    ("ids", "indices", "message"),
    [
        (("e7", "other"), [7, 2], "example 'other' is not in this pool, which has 'e2' at position 2"),
        (("e7", "far"), [7, 99], "example 'far' is not in this pool, which has no position 99"),
    ],
)
def test_rows_of_another_pool_are_refused(tmp_path: Path, ids: Any, indices: list[int], message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        coreset(ids=ids, indices=indices).save(tmp_path / "out", pool=chosen_from())
    assert not (tmp_path / "out").exists(), "nothing half-done"


def test_a_coreset_shows_itself_in_a_notebook_with_its_ids_as_text() -> None:
    shown = Coreset(indices=[0, 1], weights=[3.0, 1.0], ids=("<b>a</b>", "b"), provenance={"n": 4})._repr_html_()
    assert "Coreset: 2 of 4 examples" in shown and "&lt;b&gt;a&lt;/b&gt;, b" in shown and "worth 1.6 equal" in shown
