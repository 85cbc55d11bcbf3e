#!/usr/bin/env bash
# data-selection 1.0.3 (DSIR): a pool of ordinary instruction rows, most of them shorter than 100 words.
#
# A good guess: rows are drawn by their importance weights, so rows equal to the target come first; and any number of rows
# up to the size of the pool can be drawn.
# Seen: the default min_example_length=100 leaves out every shorter row without a word, so none of the 30 rows that are
# copies of the target is drawn, and asking for as many rows as are left ends in an error of numpy about kth.
# Exits 0 while this is so, 1 when it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q data-selection==1.0.3 "numpy<3" nltk tqdm joblib
cat >"$folder/try.py" <<'PY'
import json
import sys
from pathlib import Path

import data_selection
import numpy as np

folder = Path(sys.argv[1])
wanted = "Name the capital of France. The capital of France is Paris, on the river Seine."
other = " ".join(f"word{place % 97}" for place in range(150))
pool = [wanted] * 30 + [f"{other} {place}" for place in range(10)]
(folder / "pool.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in pool))
(folder / "target.jsonl").write_text(json.dumps({"text": wanted}) + "\n")
np.random.seed(0)
dsir = data_selection.HashedNgramDSIR(
    [str(folder / "pool.jsonl")], [str(folder / "target.jsonl")], cache_dir=str(folder / "cache"), num_proc=1
)
dsir.fit_importance_estimator()
dsir.compute_importance_weights()
weights = np.load(folder / "cache" / "log_importance_weights" / "0.npy")
dsir.resample(str(folder / "out"), num_to_sample=5, cache_dir=str(folder / "resampled"))
drawn = [json.loads(line)["text"] for path in (folder / "out").rglob("*.jsonl") for line in path.open()]
copies = sum(text == wanted for text in drawn)
print("data-selection", data_selection.__version__, "numpy", np.__version__)
print(f"mean log weight: copies of the target {weights[:30].mean():.1f}, other rows {weights[30:].mean():.1f}")
print(f"drawn: {len(drawn)} rows, of which {copies} are copies of the target (30 of 40 rows of the pool are)")
try:
    dsir.resample(str(folder / "all"), num_to_sample=10, cache_dir=str(folder / "resampled-all"))
    failed = False
    print("drawing 10 of 40 rows: done")
except ValueError as error:
    failed = True
    print(f"drawing 10 of 40 rows: ValueError: {error}")
sys.exit(0 if copies == 0 and failed else 1)
PY
"$folder/venv/bin/python" "$folder/try.py" "$folder" 2>/dev/null
