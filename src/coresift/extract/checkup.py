"""Whether a model's per-example gradients can be had here: in which numbers batches agree, what fits, how fast it goes.

Examples do not mix in a batch, so a gradient taken in a batch and alone should be the same. In 16 bits it is not quite:
kernels sum in another order for another shape, attention above all. So the same examples are run both ways under every
setting that may help, and each is also held to the gradients in float32.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from coresift.errors import ModelError
from coresift.extract.batch_size import with_fitting_batches
from coresift.extract.maps import HEAD, blocks_of, maps_of, size_of
from coresift.extract.run import GradientExtractor, tokens_read
from coresift.features.specs import GradientSpec
from coresift.memory import in_words
from coresift.models.load import DTYPES, load_model, resolve_device
from coresift.models.lora import LoraSettings, attach_lora, lora_parameters
from coresift.models.render import Rendered, Renderer
from coresift.units import count, prefixed

AGREE = {4: 1e-3, 2: 2e-2}
"""Bytes of a number -> by how much of its length a gradient may differ between a batch and alone."""
SPEC = GradientSpec(loss="response", dim=8192)
BATCH_TOKENS = 2048


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to compute, and what it gave.

    Attributes:
        dtype: Of the model.
        attention: Kernel of transformers: sdpa or eager.
        apart: Largest difference between batched and alone, in lengths of the gradient.
        off: Largest difference between batched and float32 alone.
        seconds: Of the batched passes, the second time.
    """

    dtype: str
    attention: str
    apart: float
    off: float
    seconds: float

    @property
    def agrees(self) -> bool:
        """Whether batched and alone are the same for all that selection can see."""
        return self.apart <= AGREE[min(DTYPES[self.dtype].itemsize, 4)]

    def __str__(self) -> str:
        verdict = "agree" if self.agrees else "do not agree"
        return (
            f"{self.dtype}, {self.attention} attention: batched and alone {verdict} (at most {self.apart:.1e} of a "
            f"gradient's length apart); {self.off:.1e} from float32"
        )


def checkup(
    name: str,
    rows: Sequence[Rendered],
    renderer: Renderer,
    *,
    device: str = "auto",
    dtype: str = "auto",
    rank: int = 16,
    say: Callable[[str], None] = print,
) -> list[Setting]:
    """Try a model and say what was found, line by line.

    Args:
        name: Folder or Hub id.
        rows: Examples of different lengths, as tokens of this model.
        renderer: What made them.
        device: As `load_model`.
        dtype: What is to be used; auto: float32 on a CPU, bfloat16 on a GPU.
        rank: Of the adapter, put on the attention maps.
        say: Told every line as soon as it is known.

    Returns:
        What was tried, in order; the first that agrees is recommended.

    Raises:
        ModelError: If the model cannot be loaded or tapped.
    """
    placed = resolve_device(device)
    if dtype not in ("auto", *DTYPES):
        raise ModelError(f"dtype is {dtype!r}; it must be one of {', '.join(DTYPES)} or auto.")
    wanted = dtype if dtype != "auto" else "float32" if placed.type == "cpu" else "bfloat16"
    truth, found = None, []
    for number, (kind, attention) in enumerate(_settings(wanted)):
        extractor = _extractor(name, renderer, kind, attention, placed, rank)
        if number == 0:
            for line in _model_in_words(extractor):
                say(line)
        if truth is None:
            exact = extractor if kind == "float32" else _extractor(name, renderer, "float32", attention, placed, rank)
            truth = _rows(replace(exact, batch_tokens=1), rows)[0]
        found.append(_tried(extractor, rows, kind, attention, truth))
        say(str(found[-1]))
        if found[-1].agrees:
            break
    best = next((each for each in found if each.agrees), found[-1])
    extractor = _extractor(name, renderer, best.dtype, best.attention, placed, rank)
    fitted = with_fitting_batches(extractor, rows, [SPEC])
    tokens = tokens_read(rows, [SPEC])
    operations = extractor.flops_per_token([SPEC]) * tokens / best.seconds
    say(f"batch: extract.batch_tokens={fitted.batch_tokens} fits")
    say(f"rate: {count(tokens / best.seconds)} tokens/s, {prefixed(operations, 'FLOP/s')}, forward and backward")
    say(f"use: {_advice(best)} extract.batch_tokens={fitted.batch_tokens}")
    return found


def _settings(wanted: str) -> Iterator[tuple[str, str]]:
    """The dtype asked for with either attention, then float32."""
    yield from ((wanted, "sdpa"), (wanted, "eager"))
    if wanted != "float32":
        yield "float32", "sdpa"


def _extractor(
    name: str, renderer: Renderer, dtype: str, attention: str, device: torch.device, rank: int
) -> GradientExtractor:
    model: Any = load_model(name, dtype=dtype, device=str(device))
    model.set_attn_implementation(attention)
    adapted = attach_lora(model, LoraSettings(rank=rank, alpha=2 * rank, dropout=0.0), seed=0)
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _, weight in lora_parameters(adapted):  # maps that start at zero would hide half of the gradient
            weight.add_(0.01 * torch.randn(weight.shape, generator=noise).to(weight))
    model = adapted.to(model.dtype)
    return GradientExtractor(model, renderer.start_token, renderer.pad_token, batch_tokens=BATCH_TOKENS)


def _rows(extractor: GradientExtractor, rows: Sequence[Rendered]) -> tuple[Tensor, float]:
    """[n, d] on the CPU, and the seconds it took."""
    projections = extractor.projections([SPEC])
    began = time.perf_counter()
    found = extractor.gradients(rows, [SPEC], projections)[SPEC].double().cpu()
    return found, time.perf_counter() - began


def _tried(
    extractor: GradientExtractor, rows: Sequence[Rendered], dtype: str, attention: str, truth: Tensor
) -> Setting:
    alone, _ = _rows(replace(extractor, batch_tokens=1), rows)
    batched, seconds = _rows(extractor, rows)
    lengths = truth.norm(dim=1)
    apart, off = ((batched - each).norm(dim=1) / lengths for each in (alone, truth))
    return Setting(dtype, attention, float(apart.max()), float(off.max()), seconds)


def _model_in_words(extractor: GradientExtractor) -> Iterator[str]:
    model = extractor.model
    weights, adapter = size_of(model), sum(weight.numel() for _, weight in lora_parameters(model))
    size = in_words(sum(weight.numel() * weight.element_size() for weight in model.parameters()))
    yield (
        f"model: {prefixed(weights - adapter)} weights in {len(blocks_of(model))} blocks, {size} on "
        f"{extractor.device.type}; adapter of {prefixed(adapter)}"
    )
    try:
        head = maps_of(model, GradientSpec(loss="response", of="head"))[HEAD]
        yield f"head: {type(head).__name__}, can be tapped (of=head)"
    except ModelError as error:
        yield f"head: {error}"


def _advice(best: Setting) -> str:
    if best.agrees and best.attention == "sdpa":
        return f"model.dtype={best.dtype}"
    if best.agrees:
        return f"model.dtype={best.dtype} with {best.attention} attention in the model's config.json, and"
    return f"model.dtype=float64 or extract.batch_tokens=1: nothing tried agrees; of these {best.dtype}, and"
