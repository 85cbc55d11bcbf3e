"""Greedy covers without an n x n matrix.

Three passes over the distances serve all blends together: sums of rows, which tell the first picks; gains after them,
which bound all later ones; and, once a few more picks were made by looking at whole rows of a few candidates, the lists
of the pairs that still matter, on which the rest is picked.
"""

from collections.abc import Sequence

import numpy as np

from coresift.lazy import torch
from coresift.savepoints import Arrays, Clock, Savepoints
from coresift.submodular.cover.lazy import LISTS, Cover, UnderWay, few_pairs, row_of
from coresift.submodular.cover.near_pairs import Balls, radius_of
from coresift.submodular.cover.passes import forget_lists, take_gains, take_lists, take_sums
from coresift.submodular.distances.stored import SLACK, Metric
from coresift.submodular.distances.tiled import Pair, parts_of


def cover_tiled(metrics: Sequence[Metric], size: int, savepoints: Savepoints, *, most: float) -> list[Cover]:
    """A cover of `size` picks under each of several blends of the same tiled spaces; one alone keeps its lists.

    Args:
        metrics: Tiled spaces or blends of them, all of the same two.
        size: Number of picks.
        savepoints: Where passes are saved.
        most: Number of pairs that all lists together may hold.
    """
    pairs = [pair for pair in map(parts_of, metrics) if pair is not None]
    name = f"{size} picks at {', '.join(f'{share:.17g}' for _, _, share in pairs)}"
    found, clock = _saved(metrics, savepoints.load(name)), Clock(savepoints)
    if not found:
        found = _covers(metrics, pairs, size, savepoints, name=name, most=most)
        if clock.due():
            savepoints.save(name, {f"{key}{i}": value for i, each in enumerate(found) for key, value in _arrays(each)})
            forget_lists(pairs[0][0], savepoints, name=_head_of(name, found[0].head))
    return found


def lists_of(metric: Metric, cover: Cover, savepoints: Savepoints) -> Balls | None:
    """The lists on which a cover was made, made again where they are no longer held; None where there were none."""
    pair = parts_of(metric)
    if cover.lists is not None or cover.head == 0 or pair is None:
        return cover.lists
    picks = cover.order[: cover.head]
    reach = row_of(metric, int(picks[0]))
    for pick in picks[1:].tolist():
        reach = torch.minimum(reach, row_of(metric, pick))
    name = f"the first {cover.head} of {len(cover.order)} picks at {pair[2]:.17g}"
    radius = radius_of(reach, picks)
    return take_lists([pair], [radius], savepoints, name=name).under(pair[2], radius)


def _covers(
    metrics: Sequence[Metric], pairs: Sequence[Pair], size: int, savepoints: Savepoints, *, name: str, most: float
) -> list[Cover]:
    covers = [_first(metric, pair, savepoints) for metric, pair in zip(metrics, pairs, strict=True)]
    if size > 1 and not few_pairs(covers, most):
        bounds = take_gains(pairs, [each.reach for each in covers], savepoints, name=name)
        for each, bound in zip(covers, bounds, strict=True):
            each.wait(bound.double().to(each.reach.device), exact=True)
        _head(covers, size, most)
    if len(covers[0].order) == size:
        return [each.ended() for each in covers]
    radii = [radius_of(each.reach, each.picks) for each in covers]
    near = take_lists(pairs, radii, savepoints, name=_head_of(name, len(covers[0].order)))
    ended = (
        each.on_lists(near.under(pair[2], radius), size)
        for each, pair, radius in zip(covers, pairs, radii, strict=True)
    )
    # There is room for the lists of one cover at a time.
    return list(ended) if len(covers) == 1 else [each.slim() for each in ended]


def _head_of(name: str, head: int) -> str:
    """How many picks come first depends on the memory there is, which may be another when a killed run goes on."""
    return f"{name}, {head} first"


def _arrays(cover: Cover) -> list[tuple[str, np.ndarray]]:
    return [("order", cover.order.cpu().numpy()), ("gains", cover.gains.numpy()), ("head", np.array(cover.head))]


def _saved(metrics: Sequence[Metric], arrays: Arrays | None) -> list[Cover]:
    """Covers as they were saved; empty if none were."""
    if arrays is None:
        return []
    orders = [torch.from_numpy(arrays[f"order{i}"]).to(metric.device) for i, metric in enumerate(metrics)]
    gains = [torch.from_numpy(arrays[f"gains{i}"]) for i in range(len(metrics))]
    return [Cover(order, gains[i], head=int(arrays[f"head{i}"])) for i, order in enumerate(orders)]


def _first(metric: Metric, pair: Pair, savepoints: Savepoints) -> UnderWay:
    """The first pick: the least sum of distances, counted anew for the rows that could have it.

    Over the empty set every point is at a distance that none exceeds; the largest one itself is not looked for.
    """
    first, second, share = pair
    sums, largest = take_sums(first, savepoints, name="first space")
    if share != 1.0:
        others, longest = take_sums(second, savepoints, name="second space")
        sums, largest = share * sums + (1.0 - share) * others, share * largest + (1.0 - share) * longest
    could = (sums <= sums.min() + 2.0 * SLACK * metric.n).nonzero().flatten().to(metric.device)
    exact = torch.cat([metric.rows(part).sum(dim=1, dtype=torch.float64) for part in could.split(metric.height)])
    place, top = int(exact.argmin()), torch.tensor(largest).ceil().to(metric.device, metric.dtype)
    return UnderWay.begin(metric, int(could[place]), float(top) * metric.n - float(exact[place]), top)


def _head(covers: Sequence[UnderWay], size: int, most: float) -> None:
    """Pick until so few pairs matter to any of the covers that lists can hold them."""
    for number in range(1, size):
        if number in LISTS and few_pairs(covers, most):
            return
        for each in covers:
            each.next()
