"""The trade-off between two errors: which points no other point beats on both, and which have room for a label."""

from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Positions of the points that no other dominates, both coordinates to be minimised.

    `a` dominates `b` when it is at most `b` in both coordinates and below it in one; equal points keep each other.

    Returns:
        Positions into `points`, by rising first coordinate (then falling second, then position).
    """
    order = sorted(range(len(points)), key=lambda i: (points[i][0], points[i][1], i))
    front: list[int] = []
    for i in order:
        if not front or points[i][1] < points[front[-1]][1] or tuple(points[i]) == tuple(points[front[-1]]):
            front.append(i)
    return front


WIDTH, HEIGHT = 0.12, 0.06
"""Room of a label to the upper right of its point, as parts of the ranges of both coordinates."""
FIRST_WIDTH = 0.45
"""The same for the longer label of the first point."""


def with_room(points: Sequence[tuple[float, float]], first: Sequence[int]) -> list[int]:
    """Positions of points whose labels do not run into each other: those of `first` that fit, then any others.

    The label of the very first is a longer one.
    """
    lows = [min(values) for values in zip(*points, strict=True)]
    ranges = [(max(values) - min(values)) or 1.0 for values in zip(*points, strict=True)]
    labelled: dict[int, tuple[float, float, float]] = {}
    for i in [*first, *range(len(points))]:
        x, y = ((value - low) / span for value, low, span in zip(points[i], lows, ranges, strict=True))
        width = WIDTH if labelled else FIRST_WIDTH
        if all(x >= right or left >= x + width or abs(y - other) >= HEIGHT for left, right, other in labelled.values()):
            labelled[i] = (x, x + width, y)
    return list(labelled)
