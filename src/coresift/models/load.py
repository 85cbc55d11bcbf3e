"""Loading causal language models and tokenizers: safetensors only, no remote code, the dtype that was asked for."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from coresift.errors import ModelError
from coresift.memory import fitting, is_shortage
from coresift.models.intact import check_config, check_tokenizer, check_weights
from coresift.models.quiet import quiet
from coresift.models.sources import find, looks_like_path, model_fingerprint

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = [
    "DTYPES",
    "check_model",
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
    if (folder := Path(source.name)).is_dir():
        check_config(folder)
        check_tokenizer(folder)
    try:
        with quiet():
            return AutoTokenizer.from_pretrained(
                source.name, local_files_only=source.local, trust_remote_code=False, mistral_format=False
            )
    except Exception as error:  # what a folder can be wrong in has no end
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


@fitting("Load the model in a smaller dtype (--set model.dtype=bfloat16), or take a smaller one.")
def load_model(
    name: str | Path, *, dtype: str = "float32", device: str = "cpu", quantization: Any = None
) -> "PreTrainedModel":
    """A causal language model in evaluation mode.

    Args:
        name: Model folder, Hub id or `world`.
        dtype: One of `DTYPES`, or "auto" for the dtype the weights are stored in.
        device: "cpu", "cuda", "cuda:N", or "auto" (cuda where there is one).
        quantization: A transformers quantization config, for QLoRA.

    Raises:
        ModelError: If the model, the dtype or the device cannot be had, or configuration and weights do not fit.
        MemoryShortError: If it does not fit into memory.
    """
    from transformers import AutoModelForCausalLM

    if dtype not in DTYPES and dtype != "auto":
        raise ModelError(f"dtype is {dtype!r}; it must be one of {', '.join(DTYPES)} or auto.")
    target = resolve_device(device)
    source = find(name)
    check_model(name)
    extra = {} if quantization is None else {"quantization_config": quantization, "device_map": {"": target}}
    try:
        with quiet():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                source.name,
                dtype=DTYPES.get(dtype, "auto"),
                local_files_only=source.local,
                use_safetensors=True,
                trust_remote_code=False,
                ignore_mismatched_sizes=True,  # refused below, by name
                output_loading_info=True,
                **extra,
            )
    except Exception as error:
        if is_shortage(error):
            raise
        raise ModelError(
            f"{name}: cannot be loaded as a causal language model ({_first_line(error)}). The folder needs "
            "config.json of a supported architecture and *.safetensors weights; pickled weights and remote code are "
            "not accepted."
        ) from error
    model, info = loaded
    _refuse_misfit(name, info)
    if quantization is None:
        model.to(target)
    return cast("PreTrainedModel", model.eval())


def _refuse_misfit(name: str | Path, info: dict[str, Any]) -> None:
    """Raise ModelError if the weights are not those that the configuration speaks of: others would be made up."""
    for tensor, stored, wanted in sorted(info.get("mismatched_keys", ())):
        raise ModelError(
            f"{name}: config.json and weights do not fit: {tensor} is {tuple(stored)} in the file, and {tuple(wanted)} "
            "by the configuration. Use the config.json that belongs to these weights."
        )
    missing = sorted(info.get("missing_keys", ()))
    if len(missing) > 0:
        raise ModelError(
            f"{name}: {len(missing)} weights that config.json speaks of are in no file (first: {missing[0]}). Use the "
            "config.json that belongs to these weights, or download the model again."
        )


def check_model(name: str | Path) -> None:
    """Raise ModelError if a model's configuration or weights are missing, cut or damaged, without loading them."""
    if (folder := Path(find(name).name)).is_dir():
        check_config(folder)
        check_weights(folder)


def max_positions(name: str | Path) -> int | None:
    """The longest sequence a model takes, in tokens; None where its configuration does not say.

    Raises:
        ModelError: If the configuration cannot be read.
    """
    from transformers import AutoConfig

    source = find(name)
    if (folder := Path(source.name)).is_dir():
        check_config(folder)
    try:
        config = AutoConfig.from_pretrained(source.name, local_files_only=source.local, trust_remote_code=False)
    except Exception as error:
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
    """What an error says in one line; some begin with a line that only announces the next."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() != ""]
    told = " ".join(lines[:2]) if lines and lines[0].endswith(":") else (lines or [type(error).__name__])[0]
    return told.rstrip(".")
