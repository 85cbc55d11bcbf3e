"""The trade-off between two errors: which points no other point beats on both."""

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
