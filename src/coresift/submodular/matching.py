"""Non-negative orthogonal matching pursuit: few rows whose weighted sum, with weights above 0, meets a target.

    minimise  || sum_j w_j g_j - target ||^2 + ridge * m * || w ||^2    over w >= 0 with at most k weights above 0

where m is the mean squared length of the rows, so that a setting means the same whatever the scale of the gradients.
One row joins at a time, the one that points most along the residual (the lowest index on ties); then all weights are
solved for again. Weights that would turn negative are brought to 0 one after another and their rows leave (Lawson and
Hanson, 1974, chapter 23): the objective falls with every step, so no support comes twice.

The Gram matrix of the support is held as a Cholesky factor to which rows are appended (O(k^2)) and from which they are
taken (a rank-one update of what follows them). Everything that concerns the support is float64 on the CPU.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from coresift.errors import SelectionError
from coresift.lazy import torch
from coresift.memory import in_words
from coresift.progress import Progress
from coresift.submodular.distances.rows import blocks

if TYPE_CHECKING:
    from torch import Tensor

NUMBER = 8
"""Bytes of a number in float64."""
STEPS = 20
"""Rows that may join per row asked for, before the pursuit gives up: a row that left may come back."""
DEPENDENT = 1e-10
"""A row whose part outside the span of the support is below this share of its squared length is not added."""
FLAT = 1e-12
"""Correlations below this share of the largest possible one are rounding noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """Attributes:
    picks: Rows with a weight above 0, in the order they joined.
    weights: Their weights, float64.
    residual: || sum_j w_j g_j - target || / || target ||.
    reason: Why the pursuit ended before `size` picks; empty if it did not.
    """

    picks: Tensor
    weights: Tensor
    residual: float
    reason: str


def match(
    rows: Tensor,
    target: Tensor,
    size: int,
    *,
    ridge: float = 0.0,
    tolerance: float = 1e-4,
    allowed: Tensor | None = None,
) -> Matching:
    """Match `target` (d) with at most `size` of the rows (n x d).

    Args:
        rows: Finite; any float type.
        target: What the weighted sum should be.
        size: Most rows with a weight.
        ridge: Penalty on squared weights, relative to the mean squared length of the rows.
        tolerance: The pursuit ends when the residual is at most this part of the target.
        allowed: n true or false: which rows may be picked; all when None.
    """
    pursuit = _Pursuit(rows, target, size, ridge, allowed)
    reason = pursuit.run(size, tolerance)
    picks = torch.tensor(pursuit.support, dtype=torch.int64)
    return Matching(picks, pursuit.weights, pursuit.residual, reason)


def check_room(size: int, dim: int, memory: int, *, name: str) -> None:
    """Refuse more picks than a pursuit has room for, before it begins.

    It holds the rows of its picks and the factor of their products in float64; solving copies the factor twice, and
    when a pick leaves the rows are copied once.

    Args:
        size: Number of picks.
        dim: Numbers per row.
        memory: Bytes that may be used beyond the rows.
        name: Who matches, for the message.

    Raises:
        SelectionError: With the least memory that suffices.
    """
    need = NUMBER * (size + 1) * (3 * (size + 1) + 2 * dim)
    if need > memory:
        raise SelectionError(
            f"{name}: matching with {size} picks of {dim} numbers each needs {in_words(need, math.ceil)} beyond "
            f"the features, and the memory given is {in_words(memory, math.floor)}. Ask for fewer picks, lower dim, or "
            "give at least as much (--memory)."
        )


class _Pursuit:
    """The support with its weights, the residual it leaves, and the factor of its Gram matrix."""

    def __init__(self, rows: Tensor, target: Tensor, size: int, ridge: float, allowed: Tensor | None) -> None:
        self.rows = rows
        self.target = target.double().cpu()
        self.length = float(self.target.norm())
        self.squares = torch.cat([block.double().square().sum(dim=1) for _, block in blocks(rows)]).cpu()
        self.penalty = ridge * float(self.squares.mean())
        self.allowed = torch.ones(len(rows), dtype=torch.bool) if allowed is None else allowed.cpu()
        self.banned = torch.zeros(len(rows), dtype=torch.bool)
        self.support: list[int] = []
        self.held = torch.zeros(min(size, len(rows)) + 1, rows.shape[1], dtype=torch.float64)
        self.products = torch.empty(0, dtype=torch.float64)
        self.weights = torch.empty(0, dtype=torch.float64)
        self.left = self.target
        self.factor = Factor(min(size, len(rows)) + 1)

    @property
    def atoms(self) -> Tensor:
        """The rows of the support."""
        return self.held[: len(self.support)]

    @property
    def residual(self) -> float:
        return 0.0 if self.length == 0.0 else float(self.left.norm()) / self.length

    def run(self, size: int, tolerance: float) -> str:
        with Progress("matching pursuit", size, unit="picks") as progress:
            for _ in range(STEPS * size):
                if self.residual <= tolerance:
                    return f"the residual is within the tolerance {tolerance:g} after {len(self.support)} picks"
                if not self._join():
                    return f"no further example lowers the objective after {len(self.support)} picks"
                if len(self.support) == size:
                    return ""
                progress.reach(len(self.support))
        return f"examples kept leaving the support: {len(self.support)} picks after {STEPS * size} steps"

    def _join(self) -> bool:
        """Add the row that points most along the residual; False when none does."""
        along = (self.rows @ self.left.to(self.rows.device, self.rows.dtype)).double().cpu()
        noise = FLAT * float(self.squares.max().sqrt()) * self.length
        along[~self.allowed | self.banned] = -torch.inf
        along[self.support] = -torch.inf
        while float(along.max()) > noise:
            pick = int(along.argmax())
            if self._admit(pick):
                return True
            self.banned[pick] = True  # until the support changes
            along[pick] = -torch.inf
        return False

    def _admit(self, pick: int) -> bool:
        row = self.rows[pick].double().cpu()
        if not self.factor.append(self.atoms @ row, float(self.squares[pick]) + self.penalty):
            return False
        products = torch.cat([self.products, (row @ self.target)[None]])
        solved = self.factor.solve(products)
        if float(solved[-1]) <= 0.0:  # its gain is rounding noise
            self.factor.drop(len(self.support))
            return False
        self.held[len(self.support)] = row
        self.support.append(pick)
        self.products = products
        self._settle(solved)
        return True

    def _settle(self, solved: Tensor) -> None:
        """Go from the old weights towards the solution; whoever reaches 0 first leaves, and it is solved again."""
        weights = torch.cat([self.weights, torch.zeros(1, dtype=torch.float64)])
        while float(solved.min()) <= 0.0:
            turning = solved <= 0.0
            stride = torch.where(turning, weights / (weights - solved), torch.inf)
            weights = weights + stride.min() * (solved - weights)
            gone = int(stride.argmin())
            weights, self.products = _without(weights, gone), _without(self.products, gone)
            self.held[gone : len(self.support) - 1] = self.held[gone + 1 : len(self.support)].clone()
            del self.support[gone]
            self.factor.drop(gone)
            solved = self.factor.solve(self.products)
        self.weights = solved
        self.left = self.target - self.weights @ self.atoms
        self.banned.zero_()


class Factor:
    """A growing and shrinking lower Cholesky factor of a positive definite matrix, float64."""

    def __init__(self, capacity: int) -> None:
        self._whole = torch.zeros(capacity, capacity, dtype=torch.float64)
        self.size = 0

    @property
    def lower(self) -> Tensor:
        """The factor: size x size, lower triangular."""
        return self._whole[: self.size, : self.size]

    def append(self, column: Tensor, corner: float) -> bool:
        """Add a last row and column to the matrix; False, and nothing happens, if it would be (nearly) singular."""
        k = self.size
        part = torch.linalg.solve_triangular(self.lower, column[:, None], upper=False)[:, 0]
        rest = corner - float(part.square().sum())
        if rest <= DEPENDENT * corner:
            return False
        self._whole[k, :k], self._whole[k, k] = part, rest**0.5
        self.size = k + 1
        return True

    def drop(self, place: int) -> None:
        """Take a row and its column out of the matrix."""
        k = self.size
        spill = self._whole[place + 1 : k, place].clone()
        self._whole[place : k - 1, :place] = self._whole[place + 1 : k, :place].clone()
        self._whole[place : k - 1, place : k - 1] = self._whole[place + 1 : k, place + 1 : k].clone()
        self._whole[k - 1, :] = 0.0
        self._whole[:, k - 1] = 0.0
        self.size = k - 1
        _add_outer(self._whole[place : k - 1, place : k - 1], spill)

    def solve(self, right: Tensor) -> Tensor:
        """x of matrix @ x = right."""
        return torch.cholesky_solve(right[:, None], self.lower)[:, 0]


def _without(values: Tensor, place: int) -> Tensor:
    return torch.cat([values[:place], values[place + 1 :]])


def _add_outer(lower: Tensor, vector: Tensor) -> None:
    """Turn the factor of A into that of A + vector vector^T, in place (both are spoiled for other use)."""
    for place in range(len(vector)):
        old = lower[place, place].clone()
        new = torch.sqrt(old**2 + vector[place] ** 2)
        cosine, sine = new / old, vector[place] / old
        lower[place, place] = new
        below = lower[place + 1 :, place]
        below.add_(sine * vector[place + 1 :]).div_(cosine)
        vector[place + 1 :] = cosine * vector[place + 1 :] - sine * below
