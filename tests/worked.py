"""Worked examples of the specifications that more than one room checks."""

import torch

# Written down with a row per answered example and a column per shown one; utilities are stored turned.
UTILITIES = torch.tensor(
    [
        [0.30, -0.05, 0.10, 0.02, 0.00],
        [-0.10, 0.25, 0.12, 0.05, -0.02],
        [0.05, 0.08, 0.20, -0.03, 0.01],
        [-0.02, 0.04, -0.06, 0.40, 0.06],
        [0.00, -0.20, 0.03, 0.07, 0.15],
    ]
).T
TARGETS = torch.tensor([[0.10, 0.02], [0.0, 0.30], [0.15, 0.05], [0.05, 0.0], [0.02, 0.08]])
EXISTING = torch.tensor([[0.25, 0.10], [0.02, 0.05], [0.20, 0.01], [0.0, 0.10], [0.05, 0.0]])
