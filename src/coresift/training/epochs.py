"""The ends of epochs, kept while training goes on: adapters and AdamW's moments, and the mean learning rate of each.

    <out>/epochs/1/adapter, <out>/epochs/1/moments.safetensors     after the first epoch, and so on
    <out>/adapter, <out>/moments.safetensors                       after the last, as in every run

An epoch's folder is written before the checkpoint of its last step, so a run that goes on from that checkpoint has it.
"""

import math
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from coresift import files
from coresift.models.lora import save_adapter
from coresift.training.checkpoints import EPOCHS, MOMENTS, moments_of, write_moments


class KeepEpochs(TrainerCallback):
    """Writes every epoch's folder but the last one's.

    Args:
        out: The run's folder.
        per_epoch: Optimizer steps of an epoch.
    """

    def __init__(self, out: Path, per_epoch: int) -> None:
        self._out, self._per_epoch = out, per_epoch

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        ended, part = divmod(state.global_step, self._per_epoch)
        if part == 0 and state.global_step < state.max_steps and state.is_world_process_zero:
            model, optimizer = kwargs["model"], kwargs["optimizer"]

            def fill(folder: Path) -> None:
                save_adapter(model, folder / "adapter")
                write_moments(folder / MOMENTS, moments_of(optimizer, model))

            files.write_folder(self._out / EPOCHS / str(ended), fill)


def mean_rates(scheduler: Any, steps: int, per_epoch: int) -> list[float]:
    """The mean learning rate over the optimizer steps of every epoch; a part of an epoch at the end is one too.

    Args:
        scheduler: A torch `LambdaLR` with one group.
        steps: Optimizer steps of the run.
        per_epoch: Of an epoch.
    """
    rates = [scheduler.base_lrs[0] * scheduler.lr_lambdas[0](step) for step in range(steps)]
    parts = [rates[start : start + per_epoch] for start in range(0, steps, per_epoch)]
    return [math.fsum(part) / len(part) for part in parts]
