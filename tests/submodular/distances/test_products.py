"""Products of fewer bits, as GPUs take them if allowed: near-duplicates keep their distances, subsets their worth."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from coresift.submodular.cover.greedy import cover, nearest
from coresift.submodular.distances import blocks
from coresift.submodular.distances.products import NOISE, noise
from coresift.submodular.distances.stored import Distances, pairwise
from coresift.submodular.distances.tiled import Tiled

N, DIM = 2400, 64
Rounding = Callable[[Tensor], Tensor]


def tf32(rows: Tensor) -> Tensor:
    """To 11 significant bits, the nearest, as tensor cores do."""
    words = rows.view(torch.int32)
    return ((words + 0x0FFF + ((words >> 13) & 1)) & ~0x1FFF).view(torch.float32)


def bf16(rows: Tensor) -> Tensor:
    """To 8 significant bits."""
    return rows.bfloat16().float()


@pytest.fixture(params=[("high", tf32), ("medium", bf16)], ids=["tf32", "bf16"])
def coarse(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rounding]:
    """Products of rounded rows, added up in float32, and torch's setting that allows them."""
    before = torch.get_float32_matmul_precision()
    precision, rounded = request.param
    torch.set_float32_matmul_precision(precision)
    monkeypatch.setattr(blocks, "products", lambda x, y: rounded(x) @ rounded(y).T)
    yield rounded
    torch.set_float32_matmul_precision(before)


@pytest.fixture(scope="module")
def rows() -> Tensor:
    """Clusters, heavy-tailed norms; row 100 + i is row i again, row 200 + i is row i moved by 10^-1 to 10^-6 of it."""
    source = torch.Generator().manual_seed(11)
    centres = torch.randn(N // 20, DIM, generator=source)
    made = centres[torch.randint(0, len(centres), (N,), generator=source)]
    made = made + 0.5 * torch.randn(N, DIM, generator=source)
    made = made * torch.exp(0.6 * torch.randn(N, 1, generator=source))
    made[100:160] = made[:60]
    moves = torch.logspace(-1, -6, 60)[:, None] * made[:60].norm(dim=1, keepdim=True)
    apart = torch.randn(60, DIM, generator=source)
    made[200:260] = made[:60] + moves * apart / apart.norm(dim=1, keepdim=True)
    return made


def real(space: Distances) -> Tensor:
    return space.rows(slice(0, space.n)).double() * space.step


def test_the_noise_allowed_for_is_that_of_the_precision_set(coarse: Rounding, rows: Tensor) -> None:
    assert noise() == NOISE[torch.get_float32_matmul_precision()] > NOISE["highest"]
    some = rows[:400].double()
    exact = some @ some.T
    wrong = (coarse(rows[:400]) @ coarse(rows[:400]).T).double() - exact
    lengths = some.square().sum(dim=1)
    assert float((2.0 * wrong.abs() / (lengths[:, None] + lengths[None])).max()) < noise()


def test_precisions_set_by_backend_are_allowed_for_as_the_coarsest() -> None:
    torch.backends.cuda.matmul.fp32_precision, before = "tf32", torch.backends.cuda.matmul.fp32_precision
    try:
        assert noise() >= NOISE["high"]
        assert len(cover(pairwise(torch.randn(2100, 4)), 3).order) == 3
    finally:
        torch.backends.cuda.matmul.fp32_precision = before
    assert noise() == NOISE["highest"]


@pytest.mark.parametrize("bits", [24, 16])
def test_near_duplicates_keep_their_distances(coarse: Rounding, rows: Tensor, bits: int) -> None:
    space = pairwise(rows, bits=bits)
    found, exact = real(space), torch.cdist(rows.double(), rows.double())
    first = torch.arange(60)
    assert not found[first, first + 100].any() and not found[first + 100, first].any()
    # The mean is taken off in float32: that moves a row by at most 2^-24 of the longest one, in every column.
    rounding = 0.51 * space.step + 2.0**-23 * float(rows.norm(dim=1).max())
    off = (found - exact)[first, first + 200].abs()
    assert float(off[12:].max()) <= rounding  # less than 10 % apart: computed again
    assert float(off.max()) <= noise() ** 0.5 * float(rows.norm(dim=1).max())


def test_without_the_allowance_near_duplicates_would_be_lost(
    coarse: Rounding, rows: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "noise", lambda: NOISE["highest"])
    found, exact = real(pairwise(rows)), torch.cdist(rows.double(), rows.double())
    first = torch.arange(60)
    assert found[first, first + 100].any()
    assert float(((found - exact)[first, first + 200].abs() / exact[first, first + 200]).max()) > 0.5


@pytest.mark.parametrize("way", ["24 bits", "16 bits", "tiled"])
def test_the_subset_is_worth_as_much(coarse: Rounding, rows: Tensor, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = Tiled.of(rows) if way == "tiled" else pairwise(rows, bits=int(way[:2]))
    order = cover(metric, N // 20).order
    monkeypatch.undo()
    exact = pairwise(rows)
    best, found = (float(nearest(exact, each).sum()) for each in (cover(exact, N // 20).order, order))
    assert found == pytest.approx(best, rel=1e-3)
