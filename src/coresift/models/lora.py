"""LoRA adapters: where they sit, how they start, in which order their tensors are counted, and how they merge."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from coresift import files
from coresift.errors import ModelError, SettingsError
from coresift.lazy import torch
from coresift.memory import is_shortage
from coresift.models.intact import check_file
from coresift.models.quiet import quiet
from coresift.models.sources import model_fingerprint
from coresift.seeds import derive
from coresift.settings import Settings

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ORDER_FILE = "adapter_order.json"
BASE_FILE = "adapter_base.json"
AGAIN = "Restore the file, or train the adapter again."
"""Names of the LoRA tensors in the order every array over them uses; written beside an adapter."""
WEIGHTS_FILE = "adapter_model.safetensors"
ATTENTION_BLOCK = re.compile(r"(attn|attention)", re.IGNORECASE)
ATTENTION_MAPS = {
    *("q_proj", "k_proj", "v_proj", "o_proj", "out_proj", "qkv_proj", "c_attn", "c_proj", "c_qkv"),
    *("query_key_value", "qkv", "Wqkv", "query", "key", "value", "dense", "q_lin", "k_lin", "v_lin", "out_lin"),
}
"""What architectures call the query, key, value and output maps inside an attention block."""
_ADAPTER_NAME = re.compile(r"(lora_[AB])\.[^.]+\.weight$")


class LoraSettings(Settings):
    """Shape of the adapters. Defaults: the published BRIEF settings (scale alpha / rank = 4)."""

    rank: int = Field(default=128, ge=1)
    alpha: float = Field(default=512, gt=0)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    targets: tuple[str, ...] | Literal["attention"] = Field(
        default="attention", description="Names of the linear maps, or `attention`: query, key, value and output."
    )


def attach_lora(model: PreTrainedModel, settings: LoraSettings, *, seed: int) -> PeftModel:
    """Add trainable adapters that change nothing yet; all other weights are frozen.

    A starts uniform within 1 / sqrt(fan in), as peft's default does, and B at zero. The numbers are drawn on the CPU
    from generators named after each tensor, so they do not depend on device, dtype or tensor order.

    Raises:
        ModelError: If a target is not found in the model.
    """
    from peft import LoraConfig, get_peft_model

    alpha = int(settings.alpha) if float(settings.alpha).is_integer() else settings.alpha
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=alpha,  # type: ignore[arg-type,unused-ignore]
        lora_dropout=settings.dropout,
        target_modules=target_names(model, settings.targets),
        bias="none",
        task_type="CAUSAL_LM",
    )
    with quiet(), torch.random.fork_rng(devices=_cuda_devices()):
        try:
            adapted = get_peft_model(model, config)
        except ValueError as error:
            raise ModelError(
                f"lora.targets {settings.targets!r} do not fit {type(model).__name__}: {str(error).splitlines()[0]}"
            ) from error
    _start(adapted, seed)
    return adapted.eval()


def _start(model: nn.Module, seed: int) -> None:
    for name, weight in lora_parameters(model):
        if "lora_A" not in name:
            torch.nn.init.zeros_(weight)
            continue
        noise = torch.Generator().manual_seed(derive(seed, "lora", name))
        bound = weight.shape[1] ** -0.5
        values = torch.rand(weight.shape, generator=noise, dtype=torch.float32) * (2 * bound) - bound
        with torch.no_grad():
            weight.copy_(values)


def target_names(model: nn.Module, targets: tuple[str, ...] | Literal["attention"]) -> list[str]:
    """Module names for peft: as given, or the attention maps of this architecture.

    Raises:
        ModelError: If "attention" finds nothing.
        SettingsError: If the list is empty.
    """
    if targets != "attention":
        if len(targets) == 0:
            raise SettingsError("lora.targets is empty. Name at least one linear map, or use `attention`.")
        return list(targets)
    linear = [name for name, module in model.named_modules() if type(module).__name__ in _LINEAR]
    inside = [name for name in linear if _in_attention(name)]
    if len(inside) == 0:
        known = sorted({name.rpartition(".")[2] for name in linear})
        raise ModelError(
            f"{type(model).__name__}: no attention maps found among the linear layers {', '.join(known)}. "
            "Name them in lora.targets."
        )
    leaves = {name.rpartition(".")[2] for name in inside}
    elsewhere = {name.rpartition(".")[2] for name in set(linear) - set(inside)}
    return inside if leaves & elsewhere else sorted(leaves)


_LINEAR = {"Linear", "Conv1D", "Linear4bit", "Linear8bitLt"}


def _in_attention(name: str) -> bool:
    parent, _, leaf = name.rpartition(".")
    return leaf in ATTENTION_MAPS and ATTENTION_BLOCK.search(parent.rpartition(".")[2]) is not None


def lora_parameters(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """The LoRA tensors in THE order: that of `named_parameters`, recorded once beside the adapter.

    Names carry no adapter name, so they equal the keys of the saved adapter file.

    Raises:
        ModelError: If the model has no LoRA tensors.
    """
    found = [
        (_ADAPTER_NAME.sub(r"\1.weight", name), weight)
        for name, weight in model.named_parameters()
        if _ADAPTER_NAME.search(name)
    ]
    if len(found) == 0:
        raise ModelError(f"{type(model).__name__} has no LoRA tensors. Attach an adapter first.")
    return found


def save_adapter(model: PeftModel, folder: Path, *, base: str | None = None) -> None:
    """Write adapter weights, configuration and the order of the tensors; the folder appears whole or not at all.

    Args:
        model: With the adapter.
        folder: Replaced if it is there.
        base: Fingerprint of the model that the adapter was trained on, kept with it.
    """

    def fill(temporary: Path) -> None:
        model.save_pretrained(str(temporary), safe_serialization=True)
        (temporary / "README.md").unlink(missing_ok=True)
        files.write_json(temporary / ORDER_FILE, [name for name, _ in lora_parameters(model)])
        if base is not None:
            files.write_json(temporary / BASE_FILE, {"fingerprint": base})

    files.write_folder(folder, fill, size=sum(weight.nbytes for _, weight in lora_parameters(model)))


def load_adapter(model: PreTrainedModel, folder: str | Path, *, trainable: bool = False) -> PeftModel:
    """Put a saved adapter on its base model, in evaluation mode.

    Raises:
        ModelError: If the folder holds no adapter, the adapter does not fit the model, or its tensors come in another
            order than recorded.
    """
    from peft import PeftModel

    folder = Path(folder)
    for file in ("adapter_config.json", WEIGHTS_FILE):
        if not (folder / file).is_file():
            raise ModelError(f"{folder}: no {file} here. Name the folder of a LoRA adapter saved as safetensors.")
    check_file(folder / WEIGHTS_FILE, AGAIN)
    try:
        with quiet(), torch.random.fork_rng(devices=_cuda_devices()):
            adapted = PeftModel.from_pretrained(model, str(folder), is_trainable=trainable)
    except Exception as error:
        if is_shortage(error):
            raise
        raise ModelError(
            f"{folder}: this adapter does not fit {type(model).__name__} ({str(error).splitlines()[0]}). "
            "Load it on the base model it was trained on."
        ) from error
    _check_names(folder, [name for name, _ in lora_parameters(adapted)])
    return adapted.eval()


def adapter_weights(folder: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a saved adapter by name, as `lora_parameters` names them.

    Raises:
        ModelError: If the folder holds no adapter.
    """
    from safetensors.torch import load_file

    path = Path(folder) / WEIGHTS_FILE
    if not path.is_file():
        raise ModelError(f"{folder}: no {WEIGHTS_FILE} here. Name the folder of a LoRA adapter saved as safetensors.")
    check_file(path, AGAIN)
    return load_file(path)


def _check_names(folder: Path, found: list[str]) -> None:
    """Refuse a partial fit, which peft lets pass, and an order other than the recorded one."""
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS_FILE, framework="pt") as stored:
        saved = sorted(stored.keys())
    order = folder / ORDER_FILE
    try:
        recorded = json.loads(order.read_text(encoding="utf-8")) if order.is_file() else found
    except ValueError as error:
        raise ModelError(f"{order}: not readable as JSON ({error}): cut or damaged. {AGAIN}") from None
    for expected, names in ((saved, sorted(found)), (recorded, found)):
        if expected != names:
            pairs = zip(expected, names, strict=False)
            first = next((pair for pair in pairs if pair[0] != pair[1]), ("the end", "the end"))
            raise ModelError(
                f"{folder}: {len(expected)} tensors recorded, {len(names)} found in the model; first difference: "
                f"{first[0]} != {first[1]}. Load the adapter on the base model it was trained on."
            )


def refuse_other_base(adapter: Path, model_name: str | Path) -> None:
    """Raise ModelError if an adapter says that it was trained on another model than this one."""
    trained_on = files.read_object(adapter / BASE_FILE).get("fingerprint")
    found = model_fingerprint(model_name)
    if trained_on not in (None, found):
        raise ModelError(
            f"{adapter} was trained on a model with the fingerprint {trained_on}, but {model_name} has {found}. Merge "
            "it into the model that it was trained on. --force merges all the same: right where both hold the same "
            "weights, in another dtype or beside other tokenizer files; with other weights the result is wrong."
        )


def merge_adapter(
    model_name: str | Path, adapter: Path, out: Path, *, template: str | None = None, force: bool = False
) -> Path:
    """Write the base model with the adapter folded into its weights, and the tokenizer, as one model folder.

    Args:
        model_name: The base model: folder or Hub id; its stored dtype is kept.
        adapter: Folder of the adapter.
        out: The folder to create; must not exist.
        template: The chat template it was trained with, where that is not the tokenizer's own; as in `ChatTemplate`.
        force: Merge into a model that is not the one that the adapter says it was trained on.

    Raises:
        ModelError: If `out` exists, the adapter was trained on another model, or model or adapter cannot be loaded.
        SettingsError: If there is no such template.
    """
    from coresift.models.load import load_model, load_tokenizer
    from coresift.models.template import ChatTemplate

    if out.exists():
        raise ModelError(f"{out} exists already. Name a new folder for the merged model.")
    if not force:
        refuse_other_base(adapter, model_name)
    tokenizer = load_tokenizer(model_name)
    if template is not None:
        tokenizer.chat_template = ChatTemplate(tokenizer, template).text
    merged = load_adapter(load_model(model_name, dtype="auto"), adapter).merge_and_unload()

    save_model(merged, tokenizer, out)
    return out


def save_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a model folder (safetensors, configuration, tokenizer), whole or not at all.

    Raises:
        ModelError: As `save_tokenizer`.
    """
    from coresift.models.saved_tokenizer import save_tokenizer

    def fill(temporary: Path) -> None:
        with quiet():
            model.save_pretrained(str(temporary))
        save_tokenizer(tokenizer, temporary)

    files.write_folder(folder, fill, size=sum(weight.nbytes for weight in model.parameters()))


def _cuda_devices() -> list[int]:
    return list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
