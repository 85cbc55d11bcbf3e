"""The order in which a run sees its examples: named by seed and epoch, so that a resumed run sees the same."""

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from coresift.seeds import generator


class EpochOrder(Sampler[int]):
    """Positions of one epoch: shuffled, cut into optimizer steps, sorted by length inside each step.

    Sorting inside a step saves padding and changes no result, since the loss of a step is one mean over all its
    examples, however they are spread over micro-batches.

    Args:
        lengths: [n] tokens of each example.
        step_size: Examples per optimizer step.
        seed: Names the order, together with the epoch.
        odds: [n] weights to draw n examples with replacement by, afresh every epoch; None for every example once.
    """

    def __init__(self, lengths: Sequence[int], *, step_size: int, seed: int, odds: np.ndarray | None = None) -> None:
        self._lengths, self._step_size, self._seed = np.asarray(lengths), step_size, seed
        self._odds = None if odds is None else odds / odds.sum()
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration yields."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        return iter(self.positions(self._epoch).tolist())

    def positions(self, epoch: int) -> np.ndarray:
        """[n] positions of one epoch, in order."""
        numbers, n = generator(self._seed, "order", epoch), len(self._lengths)
        drawn = numbers.permutation(n) if self._odds is None else numbers.choice(n, size=n, p=self._odds)
        steps = [drawn[start : start + self._step_size] for start in range(0, n, self._step_size)]
        return np.concatenate([step[np.argsort(self._lengths[step], kind="stable")] for step in steps])
