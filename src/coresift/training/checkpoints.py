"""What a finished training run leaves, and how to read it back."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from coresift import files
from coresift.errors import TrainingError

if TYPE_CHECKING:
    from torch import nn

DONE, MOMENTS = "training.json", "moments.safetensors"


@dataclass(frozen=True, slots=True)
class Moments:
    """AdamW's state of the LoRA tensors at the end of training, without bias correction.

    Attributes:
        first: Tensor name -> running mean of the gradient; names and order as `lora_parameters`.
        second: Tensor name -> running mean of its square.
        step: Optimizer steps taken.
    """

    first: dict[str, Tensor]
    second: dict[str, Tensor]
    step: int


@dataclass(frozen=True)
class Checkpoint:
    """A finished run.

    Attributes:
        folder: Holds training.json and adapter/ (with moments.safetensors beside it) or model/.
    """

    folder: Path

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What training.json says: seconds, tokens, steps, losses, and what the run depended on.

        Raises:
            TrainingError: If the run is not finished.
        """
        if not (self.folder / DONE).is_file():
            raise TrainingError(
                f"{self.folder}: no {DONE}, so no training run has finished here. Run the training first."
            )
        return dict(json.loads((self.folder / DONE).read_text(encoding="utf-8")))

    @property
    def adapter(self) -> Path | None:
        """Folder of the adapter; None after full tuning."""
        return self.folder / "adapter" if self.summary["tuning"] != "full" else None

    @property
    def model(self) -> Path | None:
        """Folder of the tuned model; None after adapter tuning."""
        return self.folder / "model" if self.summary["tuning"] == "full" else None

    @property
    def fingerprint(self) -> str:
        """Hash of the tuned weights together with what the run depended on."""
        return str(self.summary["fingerprint"])

    def moments(self) -> Moments:
        """AdamW's state of the LoRA tensors.

        Raises:
            TrainingError: If the run was full tuning, which keeps none.
        """
        from safetensors import safe_open

        path = self.folder / MOMENTS
        if self.adapter is None or not path.is_file():
            raise TrainingError(
                f"{self.folder}: no {MOMENTS}; AdamW's moments are kept by adapter tuning only. Use tuning=lora."
            )
        with safe_open(path, framework="pt") as stored:
            step = int(stored.metadata()["step"])
            names = json.loads(stored.metadata()["order"])
            first = {name: stored.get_tensor(f"first/{name}") for name in names}
            second = {name: stored.get_tensor(f"second/{name}") for name in names}
        return Moments(first, second, step)


def write_moments(path: Path, moments: Moments) -> None:
    """Write AdamW's state as safetensors, whole or not at all."""
    from safetensors.torch import save_file

    tensors = {f"first/{name}": tensor for name, tensor in moments.first.items()}
    tensors |= {f"second/{name}": tensor for name, tensor in moments.second.items()}
    plain = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    metadata = {"step": str(moments.step), "order": json.dumps(list(moments.first))}
    files.write_whole(path, lambda temporary: save_file(plain, temporary, metadata=metadata))


def load_trained(
    base: str | Path, checkpoint: Checkpoint, *, dtype: str = "float32", device: str = "cpu"
) -> "nn.Module":
    """The tuned model in evaluation mode.

    An adapter is folded into float32 and float64 weights, which makes generation faster and is exact to rounding; on
    16-bit weights it stays separate, since folding would round small changes away.

    Args:
        base: The model the run started from; not read after full tuning.
        checkpoint: The finished run.
        dtype: As `load_model`.
        device: As `load_model`.
    """
    from coresift.models.load import load_model
    from coresift.models.lora import load_adapter

    if checkpoint.model is not None:
        return load_model(checkpoint.model, dtype=dtype, device=device)
    assert checkpoint.adapter is not None
    model = load_model(base, dtype=dtype, device=device)
    precise = next(model.parameters()).element_size() >= 4
    adapted = load_adapter(model, checkpoint.adapter)
    return adapted.merge_and_unload().eval() if precise else adapted
