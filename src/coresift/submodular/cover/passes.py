"""Passes over all distances of tiled spaces: each block of the upper half is computed once.

A block stands for both of its halves, and serves every alpha of a search at once. What a pass has found is saved now
and then, and a pass that was killed goes on where it was saved last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from coresift.lazy import torch
from coresift.progress import Progress
from coresift.savepoints import Clock, Savepoints
from coresift.submodular.cover.near_pairs import NearPairs, Triple
from coresift.submodular.distances.blocks import EDGE, grid
from coresift.submodular.distances.tiled import Pair, Tiled
from coresift.submodular.threads import in_parts

if TYPE_CHECKING:
    from torch import Tensor

COLUMNS = "candidates", "points", "first", "second"


def take_sums(space: Tiled, savepoints: Savepoints, *, name: str) -> tuple[Tensor, float]:
    """Sum of every row and the largest distance, from one pass; taken once."""
    if not space.facts:
        state = {"sums": np.zeros(space.n), "largest": np.zeros(1)}

        def look(first: slice, second: slice) -> None:
            largest = _add_sums(space.tiles.block(first, second), state["sums"], first, second)
            state["largest"][0] = max(state["largest"][0], largest)

        _over_blocks(space, look, state, savepoints, name=f"{name}: distances")
        space.facts.append((torch.from_numpy(state["sums"]), float(state["largest"][0])))
    return space.facts[0]


def take_gains(pairs: Sequence[Pair], reaches: Sequence[Tensor], savepoints: Savepoints, *, name: str) -> list[Tensor]:
    """What every candidate would gain under each of several blends of the same spaces, from one pass (int64)."""
    n = pairs[0][0].n
    state = {"gains": np.zeros((len(pairs), n), dtype=np.int64)}

    def look(first: slice, second: slice) -> None:
        blocks = _blocks(pairs, first, second)
        for number, (blend, reach) in enumerate(zip(pairs, reaches, strict=True)):
            _add_gains(blocks, blend[2], reach, state["gains"][number], first, second)

    _over_blocks(pairs[0][0], look, state, savepoints, name=f"{name}: first gains")
    return list(torch.from_numpy(state["gains"]))


def take_lists(pairs: Sequence[Pair], radii: Sequence[Tensor], savepoints: Savepoints, *, name: str) -> NearPairs:
    """The pairs closer than the point's radius under any of several blends, from one pass."""
    label = f"{name}: near pairs"
    kept = _kept(label, pairs[0][0])
    found, begin, segment = _restore(savepoints, kept)
    unsaved: list[Triple] = []
    clock = Clock(savepoints)
    n, one_space = pairs[0][0].n, all(share == 1.0 for _, _, share in pairs)
    limits = np.stack([radius.cpu().numpy().astype(np.float32) for radius in radii])
    shares = [share for _, _, share in pairs]
    blocks = grid(n, pairs[0][0].device)
    with Progress(label, len(blocks), unit="tiles", begun=begin) as progress:
        for done, (first, second) in enumerate(blocks[begin:], start=begin + 1):
            near, far = _blocks(pairs, first, second)
            unsaved += _near(near, far, shares, limits, first, second)
            progress.advance()
            if clock.due():
                _save_segment(savepoints, kept, segment, unsaved, done)
                segment += 1
                found += unsaved
                unsaved = []
    found += unsaved
    unsaved.clear()
    return NearPairs.of(n, found, one_space=one_space)


def forget_lists(space: Tiled, savepoints: Savepoints, *, name: str) -> None:
    """Let go of what `take_lists` saved, once what came of it is saved."""
    kept = _kept(f"{name}: near pairs", space)
    index = savepoints.load(kept)
    savepoints.drop(kept)
    for segment in range(int(index["segments"]) if index else 0):
        savepoints.drop(f"{kept} {segment}")


def _kept(label: str, space: Tiled) -> str:
    """The name of a savepoint: how far a pass got means something on the same blocks of the same products only."""
    return f"{label}, blocks of {EDGE.get(space.device.type, EDGE['cuda'])}, noise {space.tiles.noise:g}"


def _save_segment(savepoints: Savepoints, label: str, segment: int, found: list[Triple], done: int) -> None:
    """The pairs found since the last one, then how far the pass is: a kill in between loses one segment only."""
    columns = [torch.cat(column).numpy() for column in zip(*found, strict=True)]
    savepoints.save(f"{label} {segment}", dict(zip(COLUMNS, columns, strict=False)))
    savepoints.save(label, {"done": np.array(done), "segments": np.array(segment + 1)})


def _restore(savepoints: Savepoints, label: str) -> tuple[list[Triple], int, int]:
    """The segments of a killed pass, the blocks done and the number of segments."""
    index, found = savepoints.load(label), []
    if index is None:
        return [], 0, 0
    for segment in range(int(index["segments"])):
        arrays = savepoints.load(f"{label} {segment}")
        if arrays:
            columns = [torch.from_numpy(arrays[key]) for key in COLUMNS]
            found.append((columns[0], columns[1], columns[2], columns[3]))
    return found, int(index["done"]), int(index["segments"])


def _over_blocks(
    space: Tiled,
    look: Callable[[slice, slice], None],
    state: dict[str, np.ndarray],
    savepoints: Savepoints,
    *,
    name: str,
) -> None:
    """Look at the blocks of the upper half in order; what `state` holds is saved now and then, with how far it got."""
    blocks, kept = grid(space.n, space.device), _kept(name, space)
    saved, begin = savepoints.load(kept), 0
    if saved is not None:
        begin = int(saved["done"])
        for key, array in state.items():
            array[...] = saved[key]
    clock = Clock(savepoints)
    with Progress(name, len(blocks), unit="tiles", begun=begin) as progress:
        for done, (first, second) in enumerate(blocks[begin:], start=begin + 1):
            look(first, second)
            progress.advance()
            if clock.due():
                savepoints.save(kept, {**state, "done": np.array(done)})


def _blocks(pairs: Sequence[Pair], first: slice, second: slice) -> tuple[Tensor, Tensor]:
    """The block of both spaces; of one only where no blend has the other."""
    one, other, _ = pairs[0]
    needed = {share for _, _, share in pairs}
    near = one.tiles.block(first, second) if needed != {0.0} else None
    far = other.tiles.block(first, second) if other is not one and needed != {1.0} else None
    both = [tile for tile in (near, far) if tile is not None]
    return both[0], both[-1]


def _add_sums(tile: Tensor, sums: np.ndarray, first: slice, second: slice) -> float:
    """Row sums of a block and, off the diagonal, its column sums; returns its largest."""
    if not _compiled(tile):
        sums[first] += tile.sum(dim=1, dtype=torch.float64).cpu().numpy()
        if first != second:
            sums[second] += tile.sum(dim=0, dtype=torch.float64).cpu().numpy()
        return float(tile.amax())
    from coresift.submodular.compiled import tiles as compiled

    whole, mirrored = tile.numpy(), first != second

    def work(begin: int, end: int) -> tuple[float, np.ndarray]:
        right = np.zeros(second.stop - second.start)
        return float(compiled.tile_sums(whole[begin:end], sums[first][begin:end], right, mirrored)), right

    parts = in_parts(work, len(tile))
    sums[second] += sum(right for _, right in parts)
    return max(largest for largest, _ in parts)


def _add_gains(
    blocks: tuple[Tensor, Tensor], share: float, reach: Tensor, gains: np.ndarray, first: slice, second: slice
) -> None:
    """Of the candidates of the rows over the points of the columns, and the reverse off the diagonal."""
    near, far = blocks
    mirrored = first != second
    if not _compiled(near):
        whole = _mixed(near, far, share)
        gains[first] += (reach[second] - whole).clamp_(min=0.0).sum(dim=1, dtype=torch.float64).long().cpu().numpy()
        if mirrored:
            left = (reach[first, None] - whole).clamp_(min=0.0).sum(dim=0, dtype=torch.float64)
            gains[second] += left.long().cpu().numpy()
        return
    from coresift.submodular.compiled import tiles as compiled

    shares = np.float32(share), np.float32(1.0 - share)
    above, beside = reach[second].numpy(), reach[first].numpy()

    def work(begin: int, end: int) -> np.ndarray:
        right = np.zeros(second.stop - second.start, dtype=np.int64)
        rows = near.numpy()[begin:end], far.numpy()[begin:end]
        compiled.tile_gains(*rows, *shares, above, beside[begin:end], gains[first][begin:end], right)
        return right

    parts = in_parts(work, len(near))
    if mirrored:
        gains[second] += sum(parts)


def _near(
    near: Tensor, far: Tensor, shares: Sequence[float], limits: np.ndarray, first: slice, second: slice
) -> list[Triple]:
    """(candidate, point, distances) of the near pairs of a block and of its mirror, on the CPU."""
    above, beside = np.ascontiguousarray(limits[:, second]), np.ascontiguousarray(limits[:, first])
    if first == second:
        beside = np.full_like(beside, -1.0)  # the mirror of a block on the diagonal is the block
    if not _compiled(near):
        return _near_on_device(near, far, shares, above, beside, first.start, second.start)
    from coresift.submodular.compiled import tiles as compiled

    ours, theirs = np.array(shares, dtype=np.float32), np.array([1.0 - share for share in shares], dtype=np.float32)

    def work(begin: int, end: int) -> Triple:
        rows = near.numpy()[begin:end], far.numpy()[begin:end]
        part = np.ascontiguousarray(beside[:, begin:end])
        room = 1 << 14
        while True:
            out = [np.empty(room, kind) for kind in (np.int32, np.int32, np.float32, np.float32)]
            place = first.start + begin, second.start
            arrays = out[0], out[1], out[2], out[3]
            count = int(compiled.tile_pairs(*rows, ours, theirs, above, part, *arrays, *place))
            if count <= room:
                kept = [torch.from_numpy(each[:count].copy()) for each in out]
                return kept[0], kept[1], kept[2], kept[3]
            room = count

    return in_parts(work, len(near))


def _near_on_device(
    near: Tensor, far: Tensor, shares: Sequence[float], above: np.ndarray, beside: np.ndarray, row: int, column: int
) -> list[Triple]:
    """The same by torch operations: only the pairs found leave the device."""
    below, under = torch.zeros_like(near, dtype=torch.bool), torch.zeros_like(near, dtype=torch.bool)
    for share, right, left in zip(shares, above, beside, strict=True):
        whole = _mixed(near, far, share)
        below |= whole < torch.from_numpy(right).to(near.device)
        under |= whole < torch.from_numpy(left).to(near.device)[:, None]
    found = []
    for mask, mirrored in ((below, False), (under, True)):
        a, b = mask.nonzero(as_tuple=True)
        place = (b + column, a + row) if mirrored else (a + row, b + column)
        triple = *(each.int() for each in place), near[a, b], far[a, b]
        found.append((triple[0].cpu(), triple[1].cpu(), triple[2].cpu(), triple[3].cpu()))
    return found


def _compiled(tile: Tensor) -> bool:
    """Whether compiled loops read it; else torch does the same on its device."""
    return tile.device.type == "cpu"


def _mixed(near: Tensor, far: Tensor, share: float) -> Tensor:
    return near if near is far or share == 1.0 else (near * share).add_(far * (1.0 - share)).round_()
