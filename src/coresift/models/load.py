"""Loading causal language models and tokenizers: safetensors only, no remote code, the dtype that was asked for."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from coresift.errors import ModelError
from coresift.models.quiet import quiet
from coresift.models.sources import find, looks_like_path, model_fingerprint

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = [
    "DTYPES",
    "load_model",
    "load_tokenizer",
    "looks_like_path",
    "max_positions",
    "model_fingerprint",
    "resolve_device",
]

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float64": torch.float64,
}
"""Accepted dtype names, besides "auto" (as stored)."""


def load_tokenizer(name: str | Path) -> "PreTrainedTokenizerBase":
    """The tokenizer of a model folder or Hub id.

    `tekken.json` is read as any other tokenizer, not by mistral-common's own class, which transformers would take as
    soon as that package is installed: it has no chat template and refuses conversations that end with an answer.

    Raises:
        ModelError: If there is none or it cannot be read.
    """
    from transformers import AutoTokenizer

    source = find(name)
    try:
        with quiet():
            return AutoTokenizer.from_pretrained(
                source.name, local_files_only=source.local, trust_remote_code=False, mistral_format=False
            )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise ModelError(
            f"{name}: its tokenizer cannot be loaded ({_first_line(error)}). {_missing_package(Path(source.name))}"
        ) from error


_NEEDED = {
    "tokenizer.model": ("sentencepiece", "google.protobuf", "pip install sentencepiece protobuf"),
    "tekken.json": ("mistral_common", "PIL", "pip install 'mistral-common>=1.10' pillow"),
}
"""What reads the files from which transformers makes a tokenizer where there is no tokenizer.json."""


def _missing_package(folder: Path) -> str:
    if not (folder / "tokenizer.json").is_file():
        for file, (first, second, command) in _NEEDED.items():
            if (folder / file).is_file() and not (_installed(first) and _installed(second)):
                return f"It has only {file}, which needs other packages: {command}."
    return "The folder needs tokenizer.json and tokenizer_config.json."


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of a package that the module would be in
        return False


def load_model(
    name: str | Path, *, dtype: str = "float32", device: str = "cpu", quantization: Any = None
) -> "PreTrainedModel":
    """A causal language model in evaluation mode.

    Args:
        name: Model folder or Hub id.
        dtype: One of `DTYPES`, or "auto" for the dtype the weights are stored in.
        device: "cpu", "cuda", "cuda:N", or "auto" (cuda where there is one).
        quantization: A transformers quantization config, for QLoRA.

    Raises:
        ModelError: If the model, the dtype or the device cannot be had.
    """
    from transformers import AutoModelForCausalLM

    if dtype not in DTYPES and dtype != "auto":
        raise ModelError(f"dtype is {dtype!r}; it must be one of {', '.join(DTYPES)} or auto.")
    target = resolve_device(device)
    source = find(name)
    extra = {} if quantization is None else {"quantization_config": quantization, "device_map": {"": target}}
    try:
        with quiet():
            model = AutoModelForCausalLM.from_pretrained(
                source.name,
                dtype=DTYPES.get(dtype, "auto"),
                local_files_only=source.local,
                use_safetensors=True,
                trust_remote_code=False,
                **extra,
            )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(
            f"{name}: cannot be loaded as a causal language model ({_first_line(error)}). The folder needs "
            "config.json of a supported architecture and *.safetensors weights; pickled weights and remote code are "
            "not accepted."
        ) from error
    if quantization is None:
        model.to(target)  # type: ignore[arg-type,unused-ignore]
    return model.eval()


def max_positions(name: str | Path) -> int | None:
    """The longest sequence a model takes, in tokens; None where its configuration does not say.

    Raises:
        ModelError: If the configuration cannot be read.
    """
    from transformers import AutoConfig

    source = find(name)
    try:
        config = AutoConfig.from_pretrained(source.name, local_files_only=source.local, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"{name}: its configuration cannot be read ({_first_line(error)}). The folder needs config.json of a "
            "supported architecture."
        ) from error
    limit = getattr(config, "max_position_embeddings", None)
    return None if limit is None else int(limit)


def resolve_device(device: str) -> torch.device:
    """The torch device of a name. Raises ModelError if it is unknown or absent."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device != "cpu" and device != "cuda" and not device.startswith("cuda:"):
        raise ModelError(f"device is {device!r}; it must be cpu, cuda, cuda:N or auto.")
    if device != "cpu" and not torch.cuda.is_available():
        raise ModelError(f"device is {device!r}, but torch sees no CUDA device here. Use cpu or auto.")
    return torch.device(device)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
