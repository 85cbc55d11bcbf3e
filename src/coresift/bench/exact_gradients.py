"""Inner products of whole gradients, every weight of a model and no projection: what cheaper features are held to.

A gradient of every weight for every example rarely fits, so weights are taken in slices: each slice costs one plain
backward pass per example and loss, a batch of one, and adds its part to the inner products.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from coresift.bench.timing import finish
from coresift.extract.run import GradientExtractor
from coresift.features.specs import Loss
from coresift.models.batches import Kind
from coresift.models.losses import example_losses, token_nll
from coresift.models.render import Rendered
from coresift.progress import Progress

SPACES: tuple[Loss, ...] = ("knowledge", "following")
Slice = tuple[nn.Parameter, int, int]


def exact_rows(extractor: GradientExtractor, rows: Sequence[Rendered], *, room: int = 2 << 30) -> dict[Loss, Tensor]:
    """Rows as far apart as the whole gradients are, per space, float64 [n, n].

    Args:
        extractor: Of a model without an adapter of its own, such as one with the adapter folded in.
        rows: The examples.
        room: Bytes of gradients held at once.
    """
    weights = list(extractor.model.parameters())
    grams = {space: torch.zeros(len(rows), len(rows), dtype=torch.float64) for space in SPACES}
    parts = list(slices(weights, entries=room // (8 * len(rows))))
    with Progress("whole gradients", len(parts) * len(rows), unit="examples") as progress:
        for part in parts:
            held: dict[Loss, list[Tensor]] = {space: [] for space in SPACES}
            for weight in weights:
                weight.requires_grad_(any(weight is each for each, _, _ in part))
            for row in rows:
                response, knowledge = (_gradient(extractor, row, kind, part) for kind in ("response", "knowledge"))
                held["knowledge"].append(knowledge)
                held["following"].append(response - knowledge)
                progress.advance(1)
            for space in SPACES:
                stacked = torch.stack(held[space])
                grams[space] += (stacked @ stacked.T).double()
    for weight in weights:
        weight.requires_grad_(False)
    finish()
    return {space: points(gram) for space, gram in grams.items()}


def slices(weights: Sequence[nn.Parameter], *, entries: int) -> Iterator[list[Slice]]:
    """The entries of all weights in consecutive groups of at most so many."""
    group: list[Slice] = []
    left = entries
    for weight in weights:
        begin = 0
        while begin < weight.numel():
            end = min(begin + left, weight.numel())
            group.append((weight, begin, end))
            left, begin = left - (end - begin), end
            if left == 0:
                yield group
                group, left = [], entries
    if group:
        yield group


def points(gram: Tensor) -> Tensor:
    """Rows whose inner products are these, [n, n]; what is negative by rounding counts as 0."""
    values, vectors = torch.linalg.eigh(gram)
    return vectors * values.clamp_min(0.0).sqrt()


def _gradient(extractor: GradientExtractor, row: Rendered, kind: Kind, part: Sequence[Slice]) -> Tensor:
    batch = extractor.batch([row], kind)
    loss = example_losses(token_nll(extractor.model, batch), batch.targets).sum()
    asked = {id(weight): weight for weight, _, _ in part}
    found = dict(zip(asked, torch.autograd.grad(loss, list(asked.values()), allow_unused=True), strict=True))
    pieces = []
    for weight, begin, end in part:
        gradient = found[id(weight)]
        pieces.append(loss.new_zeros(end - begin) if gradient is None else gradient.flatten()[begin:end].float())
    return torch.cat(pieces).cpu()
