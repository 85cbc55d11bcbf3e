"""What a run says when a pool is too small for its settings."""

from pathlib import Path
from typing import Any

from coresift.pipeline.recipes import resolve
from coresift.pipeline.reporting import report
from coresift.pipeline.runs import Run
from coresift.pipeline.stages import warmup


def test_a_warm_up_of_few_steps_says_what_follows_from_it(recipe: dict[str, Any], tmp_path: Path) -> None:
    lines: list[str] = []
    values = {**recipe, "out": str(tmp_path / "few"), "warmup": {"fraction": 0.1}, "budget": 4, "train": None}
    values |= {"compare": {}, "merge": False, "evaluate": {}}
    run = Run(resolve(values))
    warmup(run, say=lines.append)
    warned = [line for line in lines if line.startswith("warning: the warm-up has 1 optimizer step, fewer than 10")]
    assert len(warned) == 1 and "LoRA's B stays near its start" in warned[0]
    report(run, say=lines.append)
    assert "The warm-up has 1 optimizer step, fewer than 10" in (run.folder / "report" / "index.html").read_text()
    enough = Run(resolve({**values, "warmup": {"fraction": 0.5, "least_steps": 10}, "out": str(tmp_path / "enough")}))
    said: list[str] = []
    checkpoint = warmup(enough, say=said.append)
    assert checkpoint is not None and checkpoint.summary["steps"] == 17, "17 examples, one at a time"
    assert not any("warning" in line for line in said)
