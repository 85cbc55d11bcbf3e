"""From what a user types to records: a file, several, a folder, a data set of the Hub, or a part of one of them."""

import glob
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from coresift.data import hub
from coresift.data.arrow_tables import read_parquet
from coresift.data.compressed import PACKED, unpacked
from coresift.data.json_files import read_json, read_jsonl
from coresift.data.lazy import Lazy
from coresift.data.records import Record, refuse_other_text
from coresift.data.table_files import read_csv, read_tsv
from coresift.errors import DataError

TEXTS: Mapping[str, Callable[[bytes, str], Sequence[Record]]] = {
    ".json": read_json,
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".csv": read_csv,
    ".tsv": read_tsv,
}
"""What reads the text of a file, by its suffix."""
SUFFIXES = (*TEXTS, ".parquet", *(f".jsonl{packed}" for packed in PACKED))
_PART = re.compile(r"(?P<name>.+)\[(?P<start>\d*):(?P<end>\d*)(?P<percent>%?)\]")
_SHARD = re.compile(r"(?P<split>.+?)-\d{5}-of-\d{5}")
_SPLITS = ("train", "training", "test", "testing", "validation", "valid", "val", "dev", "eval", "evaluation")
"""What a shard is called that is a whole split."""


@dataclass(frozen=True, slots=True)
class Source:
    """The records of one file or data set.

    Attributes:
        name: As errors call it.
        records: In the order of the file.
    """

    name: str
    records: Sequence[Record]


def located(paths: Sequence[str | Path], split: str) -> list[Source]:
    """The records that paths lead to, path by path, and within a path by the names of the files.

    Args:
        paths: Files, folders, patterns with * ? or [...], names on the Hub; `[start:end]` behind one takes a part.
        split: Which split of a data set; `[start:end]` behind it takes a part of all records.

    Raises:
        DataError: If there is no such thing, it cannot be read, or it has no such split or part.
    """
    split, part_of_all = _cut(split)
    sources: list[Source] = []
    for name in map(str, paths):
        bare, part = (name, None) if Path(name).expanduser().exists() else _cut(name)
        sources += _within(_found(bare, split), part, name)
    return _within(sources, part_of_all, ", ".join(map(str, paths)))


def _cut(name: str) -> tuple[str, re.Match[str] | None]:
    """A name and the part that is asked for behind it."""
    match = _PART.fullmatch(name)
    return (name, None) if match is None else (match["name"], match)


def _found(name: str, split: str) -> list[Source]:
    file = Path(name).expanduser()
    if file.is_dir():
        return _folder(file, name, split)
    if not file.exists() and hub.NAME.fullmatch(name) and file.suffix not in SUFFIXES and not file.parent.exists():
        return [Source(name, hub.read_hub(name, split))]
    files = [(file, name)] if file.exists() else _matches(file, name)
    if split != "train":
        raise DataError(
            f"{name}: a single file has no split {split!r}. Leave the split out, or name the split's own file."
        )
    return [Source(name, _records(file, name)) for file, name in files]


def _matches(file: Path, name: str) -> list[tuple[Path, str]]:
    """The files that a pattern stands for."""
    if not glob.has_magic(name):
        raise DataError(f"{name}: no such file. Check the path; a data set on the Hub is named owner/name.")
    paths = sorted(filter(Path.is_file, map(Path, glob.glob(str(file), recursive=True))), key=_natural)
    if len(paths) == 0:
        raise DataError(f"{name}: no file matches. Check the pattern, and the folder it starts from.")
    return [(path, str(path)) for path in paths]


def _records(file: Path, name: str) -> Sequence[Record]:
    suffix = file.suffix.lower()
    packed = suffix if suffix in PACKED else ""
    inner = Path(file.stem).suffix.lower() if packed else suffix
    if inner == ".parquet" and not packed:
        return read_parquet(file, name)
    if inner not in TEXTS:
        known = ", ".join((*TEXTS, ".parquet"))
        raise DataError(
            f"{name}: unknown suffix {inner + packed!r}. Known are {known}, and the same as text packed with "
            f"{' or '.join(PACKED)}; rename or convert the file."
        )
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror}). Check the permissions of the file.") from None
    data = unpacked(data, packed, name) if packed else data
    refuse_other_text(data, name)
    return TEXTS[inner](data, name)


def _folder(folder: Path, name: str, split: str) -> list[Source]:
    """A data set written by `datasets`, or the shards of a split."""
    if hub.is_saved(folder):
        return [Source(name, hub.read_saved(folder, name, split))]
    shards = [path for place in (folder, folder / "data") for path in sorted(place.glob("*.parquet"), key=_natural)]
    if len(shards) == 0:
        inner = sorted({path.parent.name for path in folder.glob("*/*.parquet")})
        there = f" Parquet files are in {', '.join(inner)}: name one of these folders." if inner else ""
        raise DataError(
            f"{name}: a folder, but not one written by datasets (no dataset_dict.json or state.json in it), and "
            f"without Parquet files.{there} Name a file in it, or save the data set with save_to_disk."
        )
    splits: dict[str, list[Path]] = {}
    for shard in shards:
        splits.setdefault(_split_of(shard), []).append(shard)
    if split not in splits:
        raise DataError(f"{name}: no split {split!r}; there are {', '.join(splits)}. {hub.NAME_A_SPLIT}")
    return [Source(f"{name}/{shard.relative_to(folder)}", read_parquet(shard, str(shard))) for shard in splits[split]]


def _split_of(shard: Path) -> str:
    match = _SHARD.fullmatch(shard.stem)
    if match is not None:
        return match["split"]
    return shard.stem if shard.stem in _SPLITS else "train"


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts by the numbers in a name: part 2 before part 10."""
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in re.split(r"(\d+)", str(path))]


def _within(sources: list[Source], part: re.Match[str] | None, name: str) -> list[Source]:
    """The records of the part that is asked for."""
    if part is None:
        return sources
    total = sum(len(source.records) for source in sources)
    share = total / 100 if part["percent"] else 1
    start = round(int(part["start"] or 0) * share)
    end = min(round(int(part["end"]) * share) if part["end"] else total, total)
    if start >= end:
        raise DataError(f"{name}: the part is empty; there are {total} records. Ask for another part.")
    kept, passed = [], 0
    for source in sources:
        first, last = max(start - passed, 0), min(end - passed, len(source.records))
        passed += len(source.records)
        if first < last:
            kept.append(Source(source.name, Lazy(source.records.__getitem__, range(first, last))))
    return kept
