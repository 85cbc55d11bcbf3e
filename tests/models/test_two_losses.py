"""response = knowledge + following, checked against losses computed by another road."""

import copy
import math

import pytest
import tiny
import torch
from torch import nn

from coresift.models.batches import Batch, by_length, collate
from coresift.models.losses import example_losses, pool_losses, token_nll
from coresift.models.render import Rendered, Renderer
from coresift.models.rendered_pool import render_pool


def by_hand(model: nn.Module, context: list[int], row: Rendered) -> float:
    """Mean loss of a row's targets after `context`, one example, no mask, log-softmax written out; nats."""
    if context:
        tokens, wanted = [*context, *row.response_tokens], [False] * len(context) + [True] * row.n_targets
    else:
        tokens, wanted = list(row.tokens), list(row.response)
    with torch.no_grad():
        scores = model(torch.tensor([tokens])).logits[0].double()
    total = 0.0
    for place, target in enumerate(wanted):
        if target:
            before = scores[place - 1]
            total -= float(before[tokens[place]] - torch.logsumexp(before, 0))
    return total / sum(wanted)


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_response_is_knowledge_plus_following_on_every_architecture(architecture: str) -> None:
    model = tiny.model(architecture)
    renderer = Renderer(tiny.tokenizer(tiny.ARCHITECTURES[architecture]), max_tokens=512)
    rows = [row for row in render_pool(tiny.pool(9), renderer).rows if row is not None]
    assert len(rows) == 9
    found = pool_losses(model, rows, start_token=renderer.start_token, pad_token=renderer.pad_token, batch_tokens=700)
    for place, row in enumerate(rows):
        response, knowledge = by_hand(model, [], row), by_hand(model, [renderer.start_token], row)
        assert found.response[place].item() == pytest.approx(response, abs=1e-5)
        assert found.knowledge[place].item() == pytest.approx(knowledge, abs=1e-5)
        assert found.following[place].item() == pytest.approx(response - knowledge, abs=1e-5)
        assert response == pytest.approx(found.knowledge[place].item() + found.following[place].item(), abs=1e-5)
    assert torch.isfinite(found.response).all() and torch.isfinite(found.ifd).all()
    assert float(found.following.abs().min()) > 1e-4, "a model that ignores its context would make this test empty"


class Scripted(nn.Module):
    """A model whose next-token probabilities are read from a table: (context length, token) -> probability."""

    def __init__(self, table: dict[int, tuple[int, float]]) -> None:
        super().__init__()
        self.table = table
        self.device_holder = nn.Parameter(torch.zeros(1))

    def forward(self, input_ids: torch.Tensor, **rest: object) -> object:
        scores = torch.zeros(*input_ids.shape, 4)
        for place, (token, probability) in self.table.items():
            odds = torch.full((4,), (1 - probability) / 3)
            odds[token] = probability
            scores[:, place] = odds.log()

        class Out:
            logits = scores[:, rest["logits_to_keep"]]

        return Out()


def test_worked_number_of_the_instruction_following_difficulty() -> None:
    # p(y|x) = [.5, .25] after a context of two tokens, p(y) = [.1, .2] after the start token: IFD = 0.4 exactly
    row = Rendered("r", (0, 0, 1, 2), (False, False, True, True))
    in_context, alone = Scripted({1: (1, 0.5), 2: (2, 0.25)}), Scripted({0: (1, 0.1), 1: (2, 0.2)})
    response = collate([row], "response", start_token=3, pad_token=0)
    knowledge = collate([row], "knowledge", start_token=3, pad_token=0)
    assert knowledge.input_ids.tolist() == [[3, 1, 2]]
    sft = example_losses(token_nll(in_context, response), response.targets).double()
    known = example_losses(token_nll(alone, knowledge), knowledge.targets).double()
    assert sft.item() == pytest.approx(1.0397207708, abs=1e-6)
    assert known.item() == pytest.approx(1.9560115027, abs=1e-6)
    assert (sft - known).item() == pytest.approx(-0.9162907319, abs=1e-6)
    assert math.exp((sft - known).item()) == pytest.approx(0.4, abs=1e-6)


def test_loss_is_zero_off_target_and_padding_changes_nothing() -> None:
    model = tiny.model("llama", dtype=torch.float64)
    rows = [Rendered("a", (5, 6, 7, 8), (False, True, False, True)), Rendered("b", (9, 4), (False, True))]
    batch = collate(rows, start_token=0, pad_token=0)
    nll = token_nll(model, batch)
    assert nll.dtype == torch.float64
    assert (nll != 0).tolist() == [[False, True, False, True], [False, True, False, False]]
    alone = collate(rows[1:], start_token=0, pad_token=0)
    assert token_nll(model, alone)[0, 1].item() == pytest.approx(nll[1, 1].item(), abs=1e-12)


def test_gradients_reach_the_model_through_the_losses() -> None:
    model = tiny.model("llama")
    batch = collate([Rendered("a", (5, 6, 7), (False, True, True))], start_token=0, pad_token=0)
    example_losses(token_nll(model, batch), batch.targets).sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())


def test_knowledge_batches_hold_the_start_token_and_the_same_targets() -> None:
    rows = [Rendered("a", (1, 2, 3, 4, 5), (False, False, True, False, True)), Rendered("b", (7, 8), (False, True))]
    batch = collate(rows, "knowledge", start_token=9, pad_token=0)
    assert batch.input_ids.tolist() == [[9, 3, 5], [9, 8, 0]]
    assert batch.attention_mask.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch.targets.tolist() == [[False, True, True], [False, True, False]]
    assert isinstance(batch.to("cpu"), Batch)


def test_length_groups_cover_everything_once_within_the_limit() -> None:
    lengths = [7, 3, 3, 12, 1, 9, 3, 30]
    groups = by_length(lengths, max_tokens=12)
    assert sorted(place for group in groups for place in group) == list(range(8))
    for group in groups:
        assert len(group) == 1 or len(group) * max(lengths[place] for place in group) <= 12
    assert groups == by_length(lengths, max_tokens=12)


def test_a_pad_token_outside_the_embedding_is_not_used() -> None:
    model, known = tiny.model(), Renderer(tiny.tokenizer(), max_tokens=512)
    wide = copy.deepcopy(tiny.tokenizer())
    wide.add_special_tokens({"pad_token": "[PAD]"})
    for number in range(99):
        wide.add_tokens(f"<|more{number}|>")
    wide.add_special_tokens({"pad_token": "<|more98|>"})
    renderer = Renderer(wide, max_tokens=512)
    assert wide.pad_token_id >= model.get_input_embeddings().num_embeddings > renderer.pad_token
    rows = [row for row in render_pool(tiny.pool(5), renderer).rows if row is not None]
    found = pool_losses(model, rows, start_token=renderer.start_token, pad_token=renderer.pad_token, batch_tokens=700)
    one_by_one = pool_losses(model, rows, start_token=known.start_token, pad_token=known.pad_token, batch_tokens=1)
    assert torch.allclose(found.response, one_by_one.response, atol=1e-5)
