"""What happens beside the steps: progress, and the mark of a whole checkpoint."""

import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from coresift import files
from coresift.progress import Progress

MARK = "complete.json"
"""Written into a checkpoint last: without it the checkpoint may be half written and is not resumed from."""


class Watch(TrainerCallback):
    """Shows progress and logs the last step.

    Args:
        label: What the progress bar says.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._progress: Progress | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.is_world_process_zero:
            self._progress = Progress(self._label, state.max_steps, unit="steps", begun=state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._progress is not None:
            self._progress.advance()
        if state.global_step >= state.max_steps:
            control.should_log = True

    def close(self) -> None:
        """Take the bar away, also after an error."""
        if self._progress is not None:
            self._progress.__exit__(None, None, None)


class Mark(TrainerCallback):
    """Marks a checkpoint as whole, with the seconds spent so far.

    Args:
        before: Seconds spent by earlier, interrupted runs.
        began: `time.monotonic()` when this run began.
    """

    def __init__(self, *, before: float, began: float) -> None:
        self._before, self._began = before, began

    @property
    def seconds(self) -> float:
        """Seconds spent so far, interrupted runs included up to their last whole checkpoint."""
        return self._before + time.monotonic() - self._began

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            checkpoint = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
            files.write_json(checkpoint / MARK, {"step": state.global_step, "seconds": self.seconds})
