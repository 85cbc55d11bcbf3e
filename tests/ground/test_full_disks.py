"""A write that the disk does not take is one sentence, whichever library wrote, and leaves what was there."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
import tiny
import torch
from pyarrow import parquet
from safetensors import SafetensorError
from small_disk import small_disk

from coresift import disk, files
from coresift.disk import writing
from coresift.errors import DiskError

BIG = np.random.default_rng(0).integers(0, 255, 300_000).astype(np.uint8)


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for 64 KiB."""
    with small_disk(tmp_path / "disk", "size=64k") as folder:
        yield folder


WRITERS: dict[str, Callable[[Path], None]] = {
    "text": lambda path: files.write_text(path, "x" * len(BIG)),
    "numpy": lambda path: files.write_arrays(path, {"a": BIG}),
    "safetensors": lambda path: files.write_tensors(path, {"a": torch.from_numpy(BIG)}),
    "torch": lambda path: files.write_whole(path, lambda out: torch.save(torch.from_numpy(BIG), out)),
    "arrow": lambda path: files.write_whole(path, lambda out: parquet.write_table(pyarrow.table({"a": BIG}), out)),
    "tokenizer": lambda path: files.write_folder(path, lambda out: tiny.tokenizer().backend_tokenizer.save(f"{out}/t")),
    "model": lambda path: files.write_folder(path, tiny.model().save_pretrained),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_said_whichever_library_writes(name: str, full: Path) -> None:
    target = full / "kept"
    (full / "filler").write_bytes(BIG[:60_000].tobytes())
    with pytest.raises(
        DiskError, match=r"disk full at .*kept: it needs .*, and \d+ KB are free. Make room. Run the same"
    ):
        WRITERS[name](target)
    assert [path.name for path in full.iterdir()] == ["filler"], "nothing half-done"


@pytest.mark.parametrize("name", ["text", "numpy", "safetensors"])
def test_the_size_that_is_needed_is_said_and_the_old_file_kept(name: str, full: Path) -> None:
    files.write_text(full / "kept", "old")
    with pytest.raises(DiskError, match="it needs about 300 KB, and 61 KB are free"):
        WRITERS[name](full / "kept")
    assert (full / "kept").read_text() == "old"


def test_a_disk_without_room_for_another_file_says_so(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=1m,nr_inodes=3") as folder:
        (folder / "a").touch()
        (folder / "b").touch()
        with pytest.raises(DiskError, match="no room for another file at .*c: the disk is out of inodes. Delete some"):
            files.write_text(folder / "c", "")


def test_a_read_only_disk_says_what_to_do(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", "size=1m,ro") as folder,
        pytest.raises(
            DiskError, match="new/a cannot be written: the file system is read only. Mend that, or name another"
        ),
    ):
        files.write_text(folder / "new" / "a", "")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "quota reached at here: it needs more than that"),
        (OSError(errno.EFBIG, "File too large"), "here is larger than a file may be here .ulimit -f"),
        (PermissionError(errno.EACCES, "Permission denied"), "its folder may not be written by this user"),
        (PermissionError(errno.EPERM, "not permitted"), "its folder may not be changed"),
        (SafetensorError("I/O error: Permission denied (os error 13)"), "its folder may not be written"),
        (Exception("No space left on device (os error 28)"), "disk full at here: it needs"),
    ],
)
def test_every_way_to_say_it_is_understood(error: Exception, message: str) -> None:
    with pytest.raises(DiskError, match=message), writing(Path("here")):
        raise error
    with pytest.raises(DiskError, match=message), writing(Path("here")):
        raise RuntimeError("could not save") from error


def test_a_write_that_broke_off_is_a_full_disk_only_where_nothing_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = "[enforce fail at inline_container.cc:672] . unexpected pos 457152 vs 457044"

    def write() -> None:
        with writing(Path("here")):
            raise RuntimeError(broken)

    monkeypatch.setattr(disk, "_free", lambda path: 5_000)
    with pytest.raises(DiskError, match="disk full at here: it needs more than that, and 5 KB are free"):
        write()
    monkeypatch.setattr(disk, "_free", lambda path: 10**9)
    with pytest.raises(RuntimeError, match="unexpected pos"):
        write()


@pytest.mark.parametrize("error", [ValueError("no number"), OSError("nothing known"), FileNotFoundError(2, "no file")])
def test_other_errors_pass_and_leave_nothing_half_done(error: Exception, tmp_path: Path) -> None:
    def fail(out: Path) -> Any:
        out.write_text("half")
        raise error

    with pytest.raises(type(error), match=str(error).split("]")[-1].strip()):
        files.write_whole(tmp_path / "file", fail)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_filled_whole_or_not_at_all(tmp_path: Path) -> None:
    files.write_folder(tmp_path / "a", lambda out: (out / "old").write_text("old"))
    with pytest.raises(KeyError):
        files.write_folder(tmp_path / "a", lambda out: {}["missing"])
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "old"]
    files.write_folder(tmp_path / "a", lambda out: (out / "new").write_text("new"))
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "new"]
