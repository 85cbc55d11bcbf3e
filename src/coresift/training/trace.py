"""What happened in every round: one small JSON file each while the run is going, one Parquet file at its end.

A round's file is written before the checkpoint that follows it is marked whole, so a run that goes on from a checkpoint
drops the files of rounds that it will train again.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from coresift import files

FILE = "trace.parquet"
COLUMNS = {
    "round": "how many rounds came before",
    "arm": "the cluster that was drawn; null for policies without arms",
    "probabilities": "of every arm, before the draw",
    "ids": "examples in the order trained",
    "indices": "their positions among the candidates",
    "losses": "nats per response token, from the training forward pass of each",
    "changes": "first-order estimate of how each loss moved until the end of the round; null where not estimated",
    "measured": "positions measured again after the round; empty unless asked for",
    "realised": "how the loss of each of those moved",
    "utilities_before": "of each example",
    "utilities": "of each example, after the round",
    "reward": "mean drop in utility; null for policies without",
    "learning_rate": "mean over the round's steps",
    "steps": "optimizer steps",
    "cosine": "between the last round of this arm and the round before; null where unknown",
    "spent": "different examples trained on so far",
    "facts": "everything else that the policy said, as JSON",
}
"""Columns of the Parquet file, one row per round."""


def write_round(folder: Path, record: Mapping[str, Any]) -> None:
    """Write one round's record; values that are not finite become null."""
    files.write_text(folder / f"{record['round']:05d}.json", json.dumps(plain(record), allow_nan=False) + "\n")


def read_rounds(folder: Path, *, before: int | None = None) -> list[dict[str, Any]]:
    """The records of a run's rounds in order; only the first `before` of them."""
    paths = sorted(folder.glob("[0-9]*.json"))[:before]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def drop_rounds(folder: Path, done: int) -> None:
    """Remove the records of rounds that will be trained again."""
    for path in sorted(folder.glob("[0-9]*.json"))[done:]:
        path.unlink()


def write_trace(path: Path, rounds: Sequence[Mapping[str, Any]]) -> None:
    """Write all rounds as Parquet, whole or not at all; columns as `COLUMNS`."""
    import pyarrow as pa
    from pyarrow import parquet

    numbers, positions = pa.list_(pa.float64()), pa.list_(pa.int64())
    kinds = {
        **dict.fromkeys(("round", "arm", "steps", "spent"), pa.int64()),
        **dict.fromkeys(("reward", "learning_rate", "cosine"), pa.float64()),
        **dict.fromkeys(("probabilities", "losses", "changes", "realised", "utilities_before", "utilities"), numbers),
        **dict.fromkeys(("indices", "measured"), positions),
        "ids": pa.list_(pa.string()),
        "facts": pa.string(),
    }
    rows = [{**each, "facts": json.dumps(each.get("facts", {}), sort_keys=True)} for each in rounds]
    table = pa.Table.from_pylist(rows, pa.schema([(name, kinds[name]) for name in COLUMNS]))
    files.write_whole(path, lambda temporary: parquet.write_table(table, temporary))


def read_trace(path: Path) -> list[dict[str, Any]]:
    """The rounds of a Parquet trace, as `write_trace` got them."""
    from pyarrow import parquet

    found = parquet.read_table(path).to_pylist()
    return [{**row, "facts": json.loads(row["facts"])} for row in found]


def plain(value: Any) -> Any:
    """Arrays as lists, NumPy's numbers as Python's, what is not finite as None."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
