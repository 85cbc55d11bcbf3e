"""A token is predicted from the tokens before it, never from itself: worked numbers, and a model that only copies."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from coresift.models.batches import Batch, collate
from coresift.models.losses import example_losses, token_nll
from coresift.models.render import Rendered

LOGITS = [
    [0.1, -0.1, 0.6, 0.1],
    [-0.5, 0.4, 1.3, 0.9],
    [-0.7, -1.3, -0.6, 0.0],
    [-2.3, -0.2, -1.2, -0.7],
    [-0.5, -0.3, 0.4, 1.0],
]


class Told(nn.Module):
    """A model that answers with given logits at every place, or with near certainty for the token it is at."""

    def __init__(self, logits: Tensor | None) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, input_ids: Tensor, logits_to_keep: Tensor, **rest: object) -> SimpleNamespace:
        copied = 50.0 * nn.functional.one_hot(input_ids, 4).float()
        found = copied if self.logits is None else self.logits.expand(len(input_ids), -1, -1)
        return SimpleNamespace(logits=found[:, logits_to_keep])


def batch(tokens: list[int], masked: int) -> Batch:
    wanted = [place >= masked for place in range(len(tokens))]
    return Batch(torch.tensor([tokens]), torch.ones(1, len(tokens)), torch.tensor([wanted]))


def test_the_worked_loss_is_the_shifted_one() -> None:
    one = batch([1, 3, 0, 2, 2], 2)
    logits = torch.tensor([LOGITS])
    found = float(example_losses(token_nll(Told(logits), one), one.targets))
    assert found == pytest.approx(1.929524, abs=1e-6)
    unshifted = nn.functional.cross_entropy(logits[0, 2:], one.input_ids[0, 2:])
    assert float(unshifted) == pytest.approx(1.532086, abs=1e-6)  # what reading each token's own place would give


def test_a_model_that_copies_its_input_has_a_large_loss() -> None:
    one = batch([1, 3, 0, 2, 1], 2)
    assert float(example_losses(token_nll(Told(None), one), one.targets)) > 10.0


def test_example_losses_weighted_by_their_tokens_are_the_mean_over_all_tokens() -> None:
    source = torch.Generator().manual_seed(0)
    rows = [
        Rendered(str(size), tuple([1, 2, 3, 0][:2] * 3)[:size], tuple(place > 0 for place in range(size)))
        for size in (2, 4, 6)
    ]
    logits = torch.randn(1, 6, 4, generator=source)
    joined = collate(rows, start_token=0, pad_token=0)
    each = example_losses(token_nll(Told(logits), joined), joined.targets).double()
    counts = torch.tensor([row.n_targets for row in rows])
    scores = logits.expand(3, -1, -1)[:, :-1][joined.targets[:, 1:]]
    whole = nn.functional.cross_entropy(scores.double(), joined.input_ids[:, 1:][joined.targets[:, 1:]])
    assert float((each * counts).sum() / counts.sum()) == pytest.approx(float(whole), abs=1e-6)
