"""From token log-probabilities to a distance, and from two distances to a utility.

With p the teacher-forced probabilities of the T response tokens,

    l2        d = ||1 - p|| / sqrt(T), in [0, 1]      U = d without - d with, in [-1, 1]
    exp       the same d                              U = e^(d without - d with)
    pmi       d = -sum log p, nats                    U = d without - d with: pointwise mutual information
    pmi-mean  d = -mean log p, nats per token         U = d without - d with

The length-normalised distance makes long and short responses comparable; log-probabilities are not bounded below, so a
few impossible tokens can decide pmi.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

MetricName = Literal["l2", "pmi", "pmi-mean", "exp"]
METRICS: tuple[MetricName, ...] = ("l2", "pmi", "pmi-mean", "exp")


def distance(logs: Tensor, metric: MetricName) -> Tensor:
    """Distance of one response.

    Args:
        logs: [T] log-probabilities, nats; T at least 1.
        metric: Which one.

    Returns:
        A float64 scalar.
    """
    logs = logs.double()
    if metric == "pmi":
        return -logs.sum()
    if metric == "pmi-mean":
        return -logs.mean()
    return torch.expm1(logs).square().mean().sqrt()


def distances(responses: Sequence[Tensor], metric: MetricName) -> Tensor:
    """Distances of many responses, float64 [m], on the CPU."""
    sizes = [len(logs) for logs in responses]
    if len(sizes) == 0:
        return torch.zeros(0, dtype=torch.float64)
    return torch.stack([distance(logs, metric) for logs in torch.cat(list(responses)).cpu().split(sizes)])


def utility(without: Tensor, shown: Tensor, metric: MetricName) -> Tensor:
    """How much an example helps, from the distances without and with it; positive (for exp: above 1) where it does."""
    return (without - shown).exp() if metric == "exp" else without - shown
