"""Data sets of the `datasets` library: a folder written by `save_to_disk`, or a name on the Hugging Face Hub."""

import re
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from coresift.data.arrow_tables import ArrowRecords
from coresift.errors import DataError

NAME = re.compile(r"(?P<repository>[\w-][\w.-]*/[\w-][\w.-]*)(:(?P<configuration>[\w.-]+))?")
"""`owner/name`, or `owner/name:configuration`."""
PATIENCE = 5.0
"""Seconds to wait for the Hub before saying that it cannot be reached."""
NAME_A_SPLIT = "Name one of them as the split (--split NAME, or --set pool.split=NAME)."


def is_saved(folder: Path) -> bool:
    """Whether a folder was written by `Dataset.save_to_disk` or `DatasetDict.save_to_disk`."""
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def read_saved(folder: Path, name: str, split: str) -> ArrowRecords:
    """Read one split of a saved data set.

    Raises:
        DataError: If the folder cannot be loaded or has no such split.
    """
    import datasets
    import pyarrow

    try:
        loaded = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, TypeError, pyarrow.ArrowException) as error:
        raise DataError(
            f"{name}: the saved data set cannot be loaded ({error}). Save it again with save_to_disk."
        ) from None
    if isinstance(loaded, datasets.DatasetDict):
        if split not in loaded:
            raise DataError(f"{name}: no split {split!r}; there are {', '.join(loaded)}. {NAME_A_SPLIT}")
        return _records(loaded[split])
    own = str(loaded.split) if loaded.split is not None else "train"
    if split not in (own, "train"):
        raise DataError(f"{name}: no split {split!r}; the folder holds a single data set. Leave the split out.")
    return _records(loaded)


def read_hub(name: str, split: str) -> ArrowRecords:
    """Read one split of a data set on the Hub: from the network, or from the local cache when HF_HUB_OFFLINE is set.

    Raises:
        DataError: If the Hub cannot be reached, or has no such data set, configuration or split.
    """
    import datasets
    from huggingface_hub.errors import HTTPError

    match = NAME.fullmatch(name)
    assert match is not None, name
    _knock(name)
    try:
        loaded = datasets.load_dataset(match["repository"], match["configuration"], split=split)
    except (OSError, ValueError, RuntimeError, HTTPError, datasets.exceptions.DatasetsError) as error:
        raise DataError(f"{_tried(name)}: {_words(error)}. {_NEXT_STEP}") from None
    return _records(loaded)


def _knock(name: str) -> None:
    """Fail within seconds where there is no network; the loader by itself retries for half a minute."""
    import datasets

    if datasets.config.HF_HUB_OFFLINE:
        return
    try:
        urllib.request.urlopen(urllib.request.Request(datasets.config.HF_ENDPOINT, method="HEAD"), timeout=PATIENCE)
    except urllib.error.HTTPError:
        return  # The Hub did answer; whether it has the data set is for the loader to say.
    except OSError as error:
        reason = getattr(error, "reason", error)
        if not isinstance(reason, ssl.SSLError):  # The loader may know certificates that the standard library does not.
            raise DataError(f"{_tried(name)}: the Hub cannot be reached ({_words(reason)}). {_NEXT_STEP}") from None


def _tried(name: str) -> str:
    return f"{name}: no such file or folder here, so it was looked up as a data set on the Hugging Face Hub"


_NEXT_STEP = (
    "Check the path or the name (owner/name, or owner/name:configuration) and the split; "
    "without a network give a local file, or set HF_HUB_OFFLINE=1 to use a copy that is already in the cache."
)


def _words(error: object) -> str:
    """What an error says, on one line: data sets with several configurations list them on the second."""
    return (" ".join(str(error).split()) or type(error).__name__)[:400].rstrip(".")


def _records(dataset: Any) -> ArrowRecords:
    # The stored values, undecoded: an image column would otherwise need libraries that a text pool does not.
    return ArrowRecords(dataset.with_format("arrow")[:])
