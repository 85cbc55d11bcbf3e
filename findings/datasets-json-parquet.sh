#!/usr/bin/env bash
# datasets 5.2.0 and pyarrow 26.0.1: five conversations, one of which has its content as a list of text parts.
#
# A good guess: what load_dataset("json") reads and to_parquet writes has the text of the four plain rows in it, whoever
# reads the file.
# Seen: the one row turns the field of all rows into the feature Json. datasets itself reads it back well, but in the file
# every text is JSON source: pyarrow (and whatever reads Parquet by it) gives '"Say\\nit 0"' with quotes for 'Say\nit 0', and
# no error. Without the one row the same file holds the texts themselves.
# Exits 0 while this is so, 1 when it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q datasets==5.2.0 pyarrow==26.0.1
cat >"$folder/try.py" <<'PY'
import json
import sys
from pathlib import Path

import datasets
import pyarrow
from pyarrow import parquet

folder = Path(sys.argv[1])
talks = [[{"role": "user", "content": f"Say\nit {place}"}, {"role": "assistant", "content": 'a "1"'}] for place in range(4)]
odd = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}, {"role": "assistant", "content": "x"}]


def first(name: str, rows: list) -> tuple[str, str]:
    """The first text of the Parquet file as pyarrow and as datasets read it."""
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows))
    data = datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(folder / "cache"))
    data.to_parquet(folder / f"{name}.parquet")
    stored = parquet.read_table(folder / f"{name}.parquet").to_pylist()[0]
    read = datasets.load_dataset("parquet", data_files=str(folder / f"{name}.parquet"), cache_dir=str(folder / name))
    return stored["messages"][0]["content"], read["train"][0]["messages"][0]["content"]


plain, mixed = first("plain", talks), first("mixed", [*talks, odd])
print("datasets", datasets.__version__, "pyarrow", pyarrow.__version__)
print(f"without the odd row: pyarrow {plain[0]!r}, datasets {plain[1]!r}")
print(f"with it:             pyarrow {mixed[0]!r}, datasets {mixed[1]!r}")
sys.exit(0 if plain == ("Say\nit 0",) * 2 and mixed == ('"Say\\nit 0"', "Say\nit 0") else 1)
PY
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" "$folder/try.py" "$folder" 2>/dev/null
