"""How many tokens go through the model together: `batch_tokens: auto`.

On a GPU the three worst batches (most tokens, longest rows, most examples) are run, with ever more tokens, as long as
the largest peak stays within 90 % of what the device has. On a CPU nothing is run: the batch is the largest power of
two up to 4,096 tokens whose predicted memory fits into what is free now; larger ones are no faster there.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from coresift.errors import FeatureError
from coresift.extract.run import GradientExtractor, propagated
from coresift.features.specs import GradientSpec
from coresift.memory import free_memory, in_words
from coresift.models.batches import Kind
from coresift.models.render import Rendered

SHARE = 0.9
"""Part of a GPU's memory that the worst batches may take."""
LEAST, ON_CPU, ON_GPU = 512, 4096, 65536
"""Smallest size that is tried, and the largest on either device."""
Batches = list[tuple[Kind, list[int]]]


def with_fitting_batches(
    extractor: GradientExtractor,
    rows: Sequence[Rendered],
    specs: Sequence[GradientSpec],
    *,
    say: Callable[[str], None] | None = None,
) -> GradientExtractor:
    """The same extractor with the batch size that fits.

    Args:
        extractor: Its own `batch_tokens` is not looked at.
        rows: All that will be extracted.
        specs: What will be extracted.
        say: Told the size.

    Raises:
        FeatureError: If even the smallest batch does not fit.
    """
    on_gpu = extractor.device.type == "cuda"

    def sized(tokens: int) -> GradientExtractor:
        return replace(extractor, batch_tokens=tokens)

    if on_gpu:
        limit = int(SHARE * torch.cuda.get_device_properties(extractor.device).total_memory)
        found = largest(lambda tokens: _measured(sized(tokens), rows, specs), limit=limit, most=ON_GPU)
    else:
        weights = sum(weight.numel() * weight.element_size() for weight in extractor.model.parameters())
        limit = free_memory() + weights  # the model is loaded already
        found = largest(
            lambda tokens: sum(sized(tokens).predicted_memory(rows, specs).values()), limit=limit, most=ON_CPU
        )
    if say is not None:
        say(f"batch_tokens auto: {found} ({in_words(limit)} to use on {extractor.device.type})")
    return sized(found)


def largest(peak_of: Callable[[int], float], *, limit: float, most: int, least: int = LEAST) -> int:
    """The largest power of two times `least` up to `most` whose peak is within `limit`, tried from below.

    Args:
        peak_of: Bytes for a number of tokens; infinite where it does not fit at all.
        limit: Bytes there are.
        most, least: Range of the answer.

    Raises:
        FeatureError: If the least does not fit.
    """
    found, tokens = None, least
    while tokens <= most and peak_of(tokens) <= limit:
        found, tokens = tokens, 2 * tokens
    if found is None:
        raise FeatureError(
            f"a batch of {least} tokens takes more than the {in_words(limit)} there are. Set extract.batch_tokens to "
            "less, take a smaller model or model.dtype=bfloat16, or of=head, which keeps nothing for a backward pass."
        )
    return found


def worst_batches(extractor: GradientExtractor, rows: Sequence[Rendered], specs: Sequence[GradientSpec]) -> Batches:
    """Those with most tokens, with the longest rows and with most examples, each once."""
    batches: Batches = [(loss, places) for loss in propagated(specs) for places in extractor.batches(rows, loss)]

    def longest(batch: tuple[Kind, list[int]]) -> int:
        return max(extractor.length(rows[place], batch[0]) for place in batch[1])

    orders: list[Callable[[tuple[Kind, list[int]]], int]] = [
        lambda batch: len(batch[1]) * longest(batch),
        longest,
        lambda batch: len(batch[1]),
    ]
    worst: Batches = []
    for order in orders:
        batch = max(batches, key=order)
        worst += [batch] if batch not in worst else []
    return worst


def _measured(extractor: GradientExtractor, rows: Sequence[Rendered], specs: Sequence[GradientSpec]) -> float:
    """Peak of the GPU's memory over the worst batches; infinite where they do not fit."""
    torch.cuda.reset_peak_memory_stats(extractor.device)
    projections = extractor.projections(specs)
    try:
        for loss, places in worst_batches(extractor, rows, specs):
            part = [spec for spec in specs if loss in propagated([spec])]
            extractor.gradients([rows[place] for place in places], part, projections)
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return float("inf")
    return float(torch.cuda.max_memory_reserved(extractor.device))
