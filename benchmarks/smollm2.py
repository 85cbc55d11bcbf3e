"""Does selection pay on a real model? A comparison on SmolLM2-135M-Instruct and a mixed pool, resumable cell by cell.

    python benchmarks/smollm2.py --model FOLDER --pool FILE.jsonl --out runs/smollm2     # hours on two cores

FOLDER is an ordinary model folder of SmolLM2-135M-Instruct; FILE a pool whose rows name their `source`. Of the rows
that fit `--max-tokens` a seeded random part takes part, a fifth of it held out for scoring. Run the same line again to
go on.
"""

import argparse
import json
from pathlib import Path

from coresift.data.readers import read_pool
from coresift.data.splits import random_positions
from coresift.data.writers import coreset_text
from coresift.execution.local import LocalExecutor
from coresift.models.load import load_tokenizer
from coresift.models.render import Renderer
from coresift.models.rendered_pool import render_pool
from coresift.pipeline.comparison import Comparison
from coresift.pipeline.recipes import resolve
from coresift.report.comparison_tables import markdown

METHODS = [
    {"name": "brief", "unit_norm": True, "label": "brief, unit rows"},
    {"name": "brief", "label": "brief, raw norms"},
    "mint",
    {"name": "craig", "unit_norm": True, "label": "craig, unit rows"},
    "ifd",
    "longest",
]


def small_pool(source: Path, model: str, out: Path, rows: int, max_tokens: int) -> Path:
    """A seeded random part of the rows that fit, as a file beside the run."""
    path = out / "pool.jsonl"
    if not path.exists():
        pool = read_pool(source)
        rendered = render_pool(pool, Renderer(load_tokenizer(model), max_tokens=max_tokens))
        fits = rendered.fits
        drawn = sorted(fits[place] for place in random_positions(len(fits), rows, seed=0, name="smollm2"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(coreset_text(pool, drawn, [1.0] * len(drawn)), encoding="utf-8")
    return path


def main() -> None:
    """Make the pool, run the comparison, print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--pool", required=True, type=Path)
    parser.add_argument("--out", default=Path("runs/smollm2"), type=Path)
    parser.add_argument("--rows", default=1000, type=int)
    parser.add_argument("--max-tokens", default=256, type=int)
    parser.add_argument("--budgets", default="0.05,0.1")
    parser.add_argument("--draws", default=3, type=int)
    parser.add_argument("--dim", default=2048, type=int)
    asked = parser.parse_args()
    pool = small_pool(asked.pool, asked.model, asked.out, asked.rows, asked.max_tokens)
    recipe = {
        "name": "smollm2",
        "out": str(asked.out),
        "pool": {"path": str(pool), "max_tokens": asked.max_tokens, "held_out": asked.rows // 5},
        "model": {"path": asked.model, "dtype": "bfloat16"},
        "warmup": {"fraction": 0.1, "train": {"batch_size": 4, "micro_batch_size": 4}},
        "method": {"name": "brief", "dim": asked.dim, "preconditioner": "none"},
        "train": {
            "lora": {"rank": 16, "alpha": 32, "dropout": 0.0},
            "epochs": 2,
            "learning_rate": 5e-4,
            "batch_size": 8,
            "micro_batch_size": 8,
            "weighting": "none",
            "precision": "bfloat16",
        },
        "grid": {
            "methods": METHODS,
            "budgets": [float(each) for each in asked.budgets.split(",")],
            "draws": asked.draws,
            "controls": ["random", "balanced-random", "full"],
            "equal_cost": False,
        },
    }
    found = Comparison(resolve(recipe, origin="benchmarks/smollm2.py"), asked.out).execute(LocalExecutor())
    (asked.out / "compare.md").write_text(markdown(found), encoding="utf-8")
    print(markdown(found))
    print(json.dumps({"cells": len(found["cells"]), "failed": len(found["failed"])}))


if __name__ == "__main__":
    main()
