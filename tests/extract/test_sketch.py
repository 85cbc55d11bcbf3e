"""The projection is linear, unbiased, as concentrated as a dense random-sign matrix, and the same however it is fed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coresift.extract.sketch import Sketch

SIZES = (300, 1000, 77, 2500)


def sketch(rows: torch.Tensor, *, dim: int, seed: int, sizes: tuple[int, ...] = SIZES) -> torch.Tensor:
    projection = Sketch(sizes, dim=dim, seed=seed)
    out = torch.zeros(len(rows), dim, dtype=rows.dtype)
    for parameter, part in enumerate(rows.split(sizes, dim=1)):
        projection.add(out, parameter, part)
    return out


def gradients(n: int = 4, seed: int = 0) -> torch.Tensor:
    """Heavy-tailed rows that share a direction, as gradients do."""
    noise = torch.Generator().manual_seed(seed)
    rows = torch.randn(n, sum(SIZES), generator=noise, dtype=torch.float64) ** 3
    return rows + 2 * torch.randn(sum(SIZES), generator=noise, dtype=torch.float64)


def test_inner_products_are_unbiased_and_vary_no_more_than_under_a_dense_projection() -> None:
    rows, dim, repeats = gradients(), 64, 600
    products = torch.stack([(s := sketch(rows, dim=dim, seed=seed)) @ s.T for seed in range(repeats)])
    exact = rows @ rows.T
    squares = exact.diagonal()
    dense_variance = (torch.outer(squares, squares) + exact.square()) / dim
    error_of_the_mean = (products.mean(dim=0) - exact).abs() / (dense_variance / repeats).sqrt()
    assert error_of_the_mean.max() < 4.5
    assert (products.var(dim=0) / dense_variance).max() < 1.25


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400), st.integers(0, 2**40), st.floats(-3, 3))
def test_it_is_linear(dim: int, seed: int, factor: float) -> None:
    rows = gradients(2, seed=1)
    combined = sketch(rows[:1] + factor * rows[1:], dim=dim, seed=seed)
    parts = sketch(rows, dim=dim, seed=seed)
    assert torch.allclose(combined, parts[:1] + factor * parts[1:], atol=1e-8 * float(rows.abs().max()))


def test_how_parameters_are_cut_does_not_matter() -> None:
    rows = gradients()
    whole = sketch(rows, dim=128, seed=5, sizes=(sum(SIZES),))
    assert torch.allclose(sketch(rows, dim=128, seed=5), whole, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dim", [1, 64, 300, 5000])
def test_the_compiled_fold_is_the_eager_one(dtype: torch.dtype, dim: int) -> None:
    rows, scales = gradients().to(dtype), torch.rand(sum(SIZES)).split(SIZES)
    projection = Sketch(SIZES, dim=dim, seed=5)
    compiled, eager = torch.zeros(len(rows), dim, dtype=dtype), torch.zeros(len(rows), dim, dtype=dtype)
    for parameter, part in enumerate(rows.split(SIZES, dim=1)):
        projection.add(compiled, parameter, part, scales[parameter])
        projection.add_eagerly(eager, parameter, part, scales[parameter])
    assert torch.allclose(compiled, eager, rtol=1e-4, atol=1e-5 * float(rows.abs().max()))


def test_threads_do_not_change_a_bit() -> None:
    rows = gradients(5).float()
    alone = sketch(rows, dim=64, seed=5)
    torch.set_num_threads(3)
    try:
        assert torch.equal(sketch(rows, dim=64, seed=5), alone)
    finally:
        torch.set_num_threads(1)


def test_large_gradients_are_folded_in_groups_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, projection = gradients(), Sketch(SIZES, dim=128, seed=5)
    monkeypatch.setattr("coresift.extract.sketch._GROUP_ENTRIES", 640)
    grouped = torch.zeros(len(rows), 128, dtype=rows.dtype)
    for parameter, part in enumerate(rows.split(SIZES, dim=1)):
        projection.add_eagerly(grouped, parameter, part)
    assert torch.allclose(grouped, sketch(rows, dim=128, seed=5), atol=1e-9)


def test_nothing_is_lost_when_the_gradient_is_no_longer_than_the_sketch() -> None:
    rows = gradients()
    projected = sketch(rows, dim=sum(SIZES) + 11, seed=3)
    assert torch.allclose(projected @ projected.T, rows @ rows.T, rtol=1e-12)


def test_seeds_name_different_projections_and_the_same_seed_the_same_one() -> None:
    rows = gradients()
    assert torch.equal(sketch(rows, dim=64, seed=1), sketch(rows, dim=64, seed=1))
    assert not torch.allclose(sketch(rows, dim=64, seed=1), sketch(rows, dim=64, seed=2))


def test_the_projection_of_a_seed_never_changes() -> None:
    """Golden: stores on disk stay comparable between versions and machines."""
    first = sketch(torch.eye(6, dtype=torch.float64), dim=4, seed=0, sizes=(6,))
    assert first.abs().sum(dim=1).tolist() == [1.0] * 6
    assert [(int(row.abs().argmax()), int(row.sum())) for row in first] == GOLDEN


GOLDEN = [(2, 1), (3, 1), (0, -1), (1, -1), (0, -1), (1, 1)]


@pytest.mark.gpu
def test_cuda_projects_as_the_cpu_does() -> None:
    rows = gradients()
    projection = Sketch(SIZES, dim=64, seed=9, device="cuda")
    out = torch.zeros(len(rows), 64, dtype=rows.dtype, device="cuda")
    for parameter, part in enumerate(rows.cuda().split(SIZES, dim=1)):
        projection.add(out, parameter, part)
    assert torch.allclose(out.cpu(), sketch(rows, dim=64, seed=9), rtol=1e-12)
