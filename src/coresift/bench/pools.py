"""The synthetic pool: clusters in a low-rank subspace, two correlated spaces, norms of a choice."""

import argparse

import torch
from torch import Tensor

NORMS = ("heavy-tailed", "unit")
RANK = 64
BLOCK = 1000
"""Rows made at a time, so that making them is not the peak of memory."""


def spaces(n: int, dim: int, norms: str = "heavy-tailed", *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A knowledge and a following space of the same n points.

    Args:
        n: Number of points.
        dim: Width of a row.
        norms: `heavy-tailed` (log-normal, as gradients have them) or `unit` (the same directions, every norm 1).
        seed: Root of all draws.

    Returns:
        Two n x dim float32 arrays.
    """
    source = torch.Generator().manual_seed(seed)
    centres = torch.randn(max(2, n // 50), RANK, generator=source)
    member = torch.randint(0, len(centres), (n,), generator=source)
    lengths = torch.exp(0.6 * torch.randn(n, 1, generator=source))
    made = []
    for _ in range(2):
        lift = torch.randn(RANK, dim, generator=source)
        rows = torch.empty(n, dim)
        for start in range(0, n, BLOCK):
            part = slice(start, start + BLOCK)
            noise = torch.randn(rows[part].shape, generator=source)
            rows[part] = lengths[part] * (centres[member[part]] @ lift + 4.0 * noise)
            if norms == "unit":
                rows[part] /= rows[part].norm(dim=1, keepdim=True)
        made.append(rows)
    return made[0], made[1]


def options(parser: argparse.ArgumentParser) -> None:
    """What the pool is, where a benchmark lets the user say so."""
    parser.add_argument("--norms", choices=NORMS, default=NORMS[0], help="norms of the rows (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="root of the draws that make the pool (default 0)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where the rows are (default cpu)")
