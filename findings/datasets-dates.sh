#!/usr/bin/env bash
# datasets 5.2.0: JSON Lines of prompts with answers, where every answer is a date, written in two ways.
#
# A good guess: a JSON string is text. load_dataset("json") gives the answers as they stand in the file.
# Seen: a column whose strings all look like ISO dates becomes timestamp[s], without a word. The answer is a datetime; what
# stood in the file ("2024-05-01" or "2024-05-01 00:00:00") cannot be told any more, and to_json writes both as the number
# 1714521600000. One row with another answer keeps the whole column text.
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

folder = Path(sys.argv[1])


def loaded(*answers: str) -> datasets.Dataset:
    path = folder / f"{len(answers)}.jsonl"
    path.write_text("".join(json.dumps({"prompt": "When?", "answer": answer}) + "\n" for answer in answers))
    return datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(folder / "cache"))


dates = loaded("2024-05-01", "2024-05-01 00:00:00")
mixed = loaded("2024-05-01", "2024-05-01 00:00:00", "never")
dates.to_json(folder / "back.jsonl")
back = [json.loads(line)["answer"] for line in (folder / "back.jsonl").open()]
print("datasets", datasets.__version__)
print("all answers are dates:", dates.features["answer"], dates["answer"][:])
print("written back as JSON: ", back)
print("one answer is not:    ", mixed.features["answer"], mixed["answer"][:])
lost = not isinstance(dates[0]["answer"], str) and dates[0] == dates[1]
sys.exit(0 if lost and mixed[0]["answer"] == "2024-05-01" else 1)
PY
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" "$folder/try.py" "$folder" 2>/dev/null
