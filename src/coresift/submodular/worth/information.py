"""Facility location, its mutual-information forms and its conditional gain (Kothawade et al., 2111.03364; DELIFT).

Worths are signed on the way in, and count as 0 below 0. In all of them the picks A come from n examples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coresift.submodular.worth.coverage import Coverage
from coresift.submodular.worth.kernels import check_worth, kernel_of

if TYPE_CHECKING:
    from torch import Tensor


def facility_location(pool: Tensor, *, name: str = "pool") -> Coverage:
    """sum_i max_{j in A} s_ji over the rows of `pool`, n x m."""
    return Coverage.of(kernel_of(pool, name=name))


def target_information(pool: Tensor, target: Tensor, *, eta: float = 1.0) -> Coverage:
    """sum_i max_{j in A} s_ji + eta * sum_{j in A} max_t s_jt, the form in the DELIFT paper.

    Args:
        pool: n x m, worth of each example to rows of the pool.
        target: n x T, worth of each example to the targets.
        eta: Weight of the second sum, at least 0.
    """
    return Coverage.of(kernel_of(pool, name="pool"), bonus=eta * best(target, name="target"))


def saturating_information(pool: Tensor, by_target: Tensor, *, eta: float = 1.0) -> Coverage:
    """sum_i min(max_{j in A} s_ji, eta * max_q s_qi), known as FL1MI: no row counts beyond what the targets cover.

    Args:
        pool: n x m, worth of each example to rows of the pool.
        by_target: m x T, worth of each target to the same rows.
        eta: Scale of the limits, at least 0.
    """
    return Coverage.of(kernel_of(pool, name="pool").capped(eta * best(by_target, name="by-target")))


def mutual_information(target: Tensor, *, eta: float = 1.0) -> Coverage:
    """sum_q max_{j in A} s_jq + eta * sum_{j in A} max_q s_jq over the targets, n x T, known as FL2MI."""
    return Coverage.of(kernel_of(target, name="target"), bonus=eta * best(target, name="target"))


def conditional_gain(pool: Tensor, existing: Tensor, *, nu: float = 1.0) -> Coverage:
    """sum_i max(0, max_{j in A} s_ji - nu * max_e s_ei), known as FLCG: what the existing examples do not give.

    Args:
        pool: n x m, worth of each example to rows of the pool.
        existing: m x E, worth of each existing example to the same rows.
        nu: How much of what exists counts, at least 0.
    """
    return Coverage.of(kernel_of(pool, name="pool"), start=nu * best(existing, name="existing"))


def best(worth: Tensor, *, name: str) -> Tensor:
    """The largest worth in every row, at least 0 (float64). Raises SelectionError like `kernel_of`."""
    check_worth(worth, name=name)
    return worth.amax(dim=1).clamp(min=0.0).double()
