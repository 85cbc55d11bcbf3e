"""What a finished training run leaves, and how to read it back."""

import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from coresift import files
from coresift.errors import TrainingError
from coresift.fingerprints import checksum

if TYPE_CHECKING:
    from torch import nn

DONE, MOMENTS, EPOCHS = "training.json", "moments.safetensors", "epochs"


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
class Epoch:
    """The end of an epoch of a run with adapters.

    Attributes:
        folder: Holds adapter/ and moments.safetensors.
        learning_rate: Mean over the epoch's optimizer steps.
        fingerprint: Of the run, and which of its epochs this is; of the run alone at its end.
    """

    folder: Path
    learning_rate: float
    fingerprint: str

    @property
    def adapter(self) -> Path:
        """Folder of the adapter."""
        return self.folder / "adapter"

    def moments(self) -> Moments:
        """AdamW's state of the LoRA tensors. Raises TrainingError if it is not there."""
        return read_moments(self.folder)


@dataclass(frozen=True)
class Checkpoint:
    """A finished run.

    Attributes:
        folder: Holds training.json and adapter/ (with moments.safetensors beside it) or model/.
    """

    folder: Path

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What training.json says: seconds, tokens, steps, losses, what the run depended on, checksums of its files.

        Raises:
            TrainingError: If the run is not finished, or training.json is damaged.
        """
        if not (self.folder / DONE).is_file():
            raise TrainingError(
                f"{self.folder}: no {DONE}, so no training run has finished here. Run the training first."
            )
        found = files.read_object(self.folder / DONE)
        if "tuning" not in found or "fingerprint" not in found:
            raise TrainingError(f"{self.folder / DONE}: cut or damaged. Remove {self.folder} and train again.")
        return found

    @property
    def adapter(self) -> Path | None:
        """Folder of the adapter; None after full tuning. Raises TrainingError if a file of it is damaged."""
        return self._intact("adapter") if self.summary["tuning"] != "full" else None

    @property
    def model(self) -> Path | None:
        """Folder of the tuned model; None after adapter tuning. Raises TrainingError if a file of it is damaged."""
        return self._intact("model") if self.summary["tuning"] == "full" else None

    def _intact(self, part: str) -> Path:
        """A file or folder of the result, once its files are those that training wrote."""
        for name, expected in self.summary.get("files", {}).items():
            path = self.folder / name
            if (name == part or name.startswith(f"{part}/")) and not (path.is_file() and _checksum(path) == expected):
                raise TrainingError(
                    f"{path}: not the file that training wrote (its SHA-256 is not the one in {DONE}). Restore it, or "
                    f"remove {self.folder} and train again."
                )
        return self.folder / part

    @property
    def fingerprint(self) -> str:
        """Hash of the tuned weights together with what the run depended on."""
        return str(self.summary["fingerprint"])

    def moments(self) -> Moments:
        """AdamW's state of the LoRA tensors at the end.

        Raises:
            TrainingError: After full tuning, which keeps none, or if the file is damaged.
        """
        self._intact(MOMENTS)
        return read_moments(self.folder)

    @property
    def epochs(self) -> tuple[Epoch, ...]:
        """The ends of all epochs, in order.

        Raises:
            TrainingError: If they were not kept (`keep_epochs`), or one was removed or damaged.
        """
        rates = self.summary.get("learning_rates")
        if rates is None:
            raise TrainingError(f"{self.folder}: its epochs were not kept. Train with keep_epochs=true.")
        folders = [self.folder / EPOCHS / str(number) for number in range(1, len(rates))]
        for folder in folders:
            if not (folder / MOMENTS).is_file():
                raise TrainingError(f"{folder}: the end of this epoch is gone. Remove {self.folder} and train again.")
            self._intact(f"{EPOCHS}/{folder.name}")
        names = [f"{self.fingerprint}-epoch-{number}" for number in range(1, len(rates))]
        ends = zip([*folders, self.folder], rates, [*names, self.fingerprint], strict=True)
        return tuple(Epoch(folder, rate, name) for folder, rate, name in ends)

    @property
    def last(self) -> Epoch:
        """The end of a run with adapters, as if there were no other."""
        return Epoch(self.folder, 1.0, self.fingerprint)


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a result, by its path in the run's folder."""
    parts = [path for name in ("adapter", "model", EPOCHS) for path in (folder / name).rglob("*")]
    found = sorted(path for path in [*parts, folder / MOMENTS] if path.is_file())
    return {path.relative_to(folder).as_posix(): checksum(path) for path in found}


def _checksum(path: Path) -> str:
    status = path.stat()
    return _known_checksum(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _known_checksum(path: Path, size: int, changed: int) -> str:
    """Remembered while size and time of change stay: large weights are read once per process."""
    return checksum(path)


def read_moments(folder: Path) -> Moments:
    """AdamW's state beside an adapter. Raises TrainingError if there is none, ModelError if the file is cut."""
    from safetensors import safe_open

    from coresift.models.intact import check_file

    path = folder / MOMENTS
    if not path.is_file():
        raise TrainingError(
            f"{folder}: no {MOMENTS}; AdamW's moments are kept by adapter tuning only. Use tuning=lora."
        )
    check_file(path, "Restore the file, or train again.")
    with safe_open(path, framework="pt") as stored:
        step = int(stored.metadata()["step"])
        names = json.loads(stored.metadata()["order"])
        first = {name: stored.get_tensor(f"first/{name}") for name in names}
        second = {name: stored.get_tensor(f"second/{name}") for name in names}
    return Moments(first, second, step)


def moments_of(optimizer: Any, model: "nn.Module") -> Moments:
    """AdamW's state by tensor: the optimizer numbers tensors by group, so they are looked up by identity."""
    from coresift.models.lora import lora_parameters

    kept = {name: optimizer.state[weight] for name, weight in lora_parameters(model)}
    step = int(next(iter(kept.values()))["step"])
    return Moments(
        {name: state["exp_avg"] for name, state in kept.items()},
        {name: state["exp_avg_sq"] for name, state in kept.items()},
        step,
    )


def write_moments(path: Path, moments: Moments) -> None:
    """Write AdamW's state as safetensors, whole or not at all."""
    tensors = {f"first/{name}": tensor for name, tensor in moments.first.items()}
    tensors |= {f"second/{name}": tensor for name, tensor in moments.second.items()}
    metadata = {"step": str(moments.step), "order": json.dumps(list(moments.first))}
    files.write_tensors(path, tensors, metadata)


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
