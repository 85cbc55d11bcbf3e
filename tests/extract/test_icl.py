"""Utilities: sharing changes nothing, neither do batches, and what does not fit is shortened or counted."""

from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from coresift.data.pool import Example
from coresift.errors import SettingsError
from coresift.extract import icl_prefix
from coresift.extract.icl import UtilityScorer
from coresift.extract.icl_cost import model_cost
from coresift.extract.icl_metrics import METRICS
from coresift.extract.icl_prompts import ChatPrompts, Question
from coresift.models.lora import LoraSettings, attach_lora

POOL = tiny.pool(7)


def scorer(architecture: str = "llama", **settings: Any) -> UtilityScorer:
    model = settings.pop("model", None) or tiny.model(architecture)
    return UtilityScorer(model, tiny.tokenizer(tiny.ARCHITECTURES.get(architecture, "llama3")), **settings)


@pytest.mark.parametrize("template", ["chat", "delift"])
@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_sharing_equals_reading_every_pair_whole(architecture: str, template: str) -> None:
    said: list[str] = []
    both = []
    for share in (True, False):
        found = scorer(architecture, template=template, share_prefix=share, metric="pmi-mean", say=said.append)
        both.append(found.columns(POOL, POOL))
        assert found.share_prefix is share
    assert said == [] and float(both[1].abs().max()) > 1e-3
    assert float((both[0] - both[1]).abs().max()) < 1e-5


def test_sharing_in_16_bit_stays_within_rounding() -> None:
    model = tiny.model(dtype=torch.bfloat16)
    one, other = (scorer(model=model, share_prefix=share).columns(POOL, POOL) for share in (True, False))
    assert float((one - other).abs().max()) < 5e-3


@pytest.mark.parametrize("architecture", ["mistral", "gemma2", "gemma3_text"])
def test_sliding_windows_shorter_than_the_example_are_respected(architecture: str) -> None:
    sizes = {"vocab_size": 288, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 8}
    config = AutoConfig.for_model(architecture, **sizes, intermediate_size=64, num_key_value_heads=2, sliding_window=16)
    if getattr(config, "layer_types", None):
        config.layer_types = ["sliding_attention", "full_attention"]
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    said: list[str] = []
    settings = {"model": model, "metric": "pmi-mean", "say": said.append}
    one, other = (scorer(share_prefix=share, **settings).columns(POOL[:3], POOL) for share in (True, False))
    assert said == [] and float((one - other).abs().max()) < 1e-5


def test_a_model_with_lora_is_scored_as_well() -> None:
    model = attach_lora(tiny.model(), LoraSettings(rank=4, alpha=8), seed=0).eval()
    said: list[str] = []
    found = scorer(model=model, say=said.append).columns(POOL[:2], POOL)
    torch.testing.assert_close(found, scorer().columns(POOL[:2], POOL))  # a fresh adapter changes nothing
    assert said == []


def test_recurrent_models_are_read_whole_and_said_so() -> None:
    config = AutoConfig.for_model("mamba", vocab_size=288, hidden_size=16, num_hidden_layers=2, state_size=4)
    torch.manual_seed(0)
    model, said = AutoModelForCausalLM.from_config(config).eval(), []
    found = scorer(model=model, say=said.append, metric="pmi")
    values = found.columns(POOL[:2], POOL)
    assert len(said) == 1 and "mamba: the keys and values of an example cannot be shared (" in said[0]
    assert "every pair is encoded whole" in said[0] and found.share_prefix is False
    assert torch.equal(values, scorer(model=model, share_prefix=False, metric="pmi").columns(POOL[:2], POOL))


@pytest.mark.parametrize(
    ("fails", "reason"),
    [
        (lambda logs: [part + 1.0 for part in logs], "they change distances by"),
        (None, "the model refuses them: TypeError"),
    ],
)
def test_sharing_that_changes_values_is_given_up(monkeypatch: pytest.MonkeyPatch, fails: Any, reason: str) -> None:
    true = icl_prefix.after

    def broken(*arguments: Any, **named: Any) -> list[torch.Tensor]:
        if fails is None:
            raise TypeError("no cache")
        return fails(true(*arguments, **named))

    monkeypatch.setattr("coresift.extract.icl.after", broken)
    said: list[str] = []
    found = scorer(say=said.append).columns(POOL[:2], POOL)
    assert len(said) == 1 and reason in said[0]
    assert torch.equal(found, scorer(share_prefix=False).columns(POOL[:2], POOL))


@pytest.mark.parametrize("share", [True, False])
def test_batches_padding_and_order_change_nothing(share: bool) -> None:
    whole = scorer(share_prefix=share, metric="pmi-mean").columns(POOL, POOL)
    for batch_tokens in (1, 150, 10**6):
        found = scorer(share_prefix=share, metric="pmi-mean", batch_tokens=batch_tokens).columns(POOL, POOL)
        assert float((found - whole).abs().max()) < 1e-5
    turned = scorer(share_prefix=share, metric="pmi-mean").columns(POOL[::-1], POOL[::-1])
    assert float((turned.flip(0, 1) - whole).abs().max()) < 1e-5
    some = scorer(share_prefix=share, metric="pmi-mean")
    column = some.column(POOL[1], some.rows(POOL), only=[5, 0])
    assert float((column.utility - whole[1, [5, 0]]).abs().max()) < 1e-5


@pytest.mark.parametrize("metric", METRICS)
def test_utilities_are_without_minus_with(metric: str) -> None:
    found = scorer(metric=metric)
    values, alone = found.columns(POOL[:2], POOL), found.alone(POOL)
    if metric == "l2":
        assert float(alone.min()) >= 0 and float(alone.max()) <= 1 and float(values.abs().max()) <= 1
    if metric == "exp":
        torch.testing.assert_close(values, scorer(metric="l2").columns(POOL[:2], POOL).exp())
    if metric == "pmi":
        lengths = torch.tensor([question.n_targets for question in found.rows(POOL).questions])
        torch.testing.assert_close(values, scorer(metric="pmi-mean").columns(POOL[:2], POOL) * lengths)


class NoExample:
    """Prompts whose example is nothing."""

    def __init__(self) -> None:
        self.chat = ChatPrompts(tiny.tokenizer())
        self.encode, self.decode = self.chat.encode, self.chat.decode

    def question(self, example: Example) -> Question:
        whole = self.chat.question(example)
        return Question(whole.id, whole.alone, whole.alone, whole.n_targets)

    def prefix(self, example: Example) -> tuple[int, ...]:
        return ()


def test_an_example_that_adds_nothing_is_worth_nothing() -> None:
    assert scorer(template=NoExample()).columns(POOL, POOL).abs().max() == 0.0


class Table(nn.Module):
    """A model that knows what follows every token."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.randn(288, 288, generator=torch.Generator().manual_seed(0)))
        self.config, self.dtype = SimpleNamespace(model_type="table"), torch.float32

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, use_cache: bool) -> SimpleNamespace:
        return SimpleNamespace(logits=self.logits[input_ids])

    def get_output_embeddings(self) -> None:
        return None

    def get_input_embeddings(self) -> None:
        return None


def test_a_token_is_predicted_from_the_one_before_it() -> None:
    model, said = Table(), []
    found = scorer(model=model, metric="pmi", say=said.append)
    ready = found.rows(POOL)
    for question, value in zip(ready.questions, ready.alone.tolist(), strict=True):
        tokens = torch.from_numpy(question.alone).long()
        steps = model.logits.log_softmax(dim=1)[tokens[:-1], tokens[1:]][-question.n_targets :]
        assert value == pytest.approx(-float(steps.detach().sum()), abs=1e-4)
    assert found.columns(POOL[:1], POOL).abs().max() < 1e-4  # what lies further back does not matter to it
    assert "it takes no keys and values" in said[0]


@pytest.mark.parametrize("share", [True, False])
def test_examples_are_shortened_and_responses_never(share: bool) -> None:
    long = tiny.example("Count up", "".join(f"{number} " for number in range(140)), id="long")
    found = scorer(max_tokens=400, share_prefix=share)
    rows = found.rows([*POOL, long])
    lengths = [len(question.suffix) for question in rows.questions]
    assert max(lengths) > 400 and rows.alone[-1].isnan() and not rows.alone[:-1].isnan().any()
    values = found.columns([POOL[0], long], rows)
    assert found.counts.shortened == len(POOL) and found.counts.unscorable == 2
    assert values[:, -1].abs().max() == 0.0 and bool((values[:, :-1] != 0).all())


def test_a_query_that_leaves_no_room_for_an_example_is_counted() -> None:
    size = len(scorer().rows(POOL[:1]).questions[0].suffix)
    found = scorer(max_tokens=size + 10)
    values = found.columns(POOL[1:3], POOL[:1])
    assert values.tolist() == [[0.0], [0.0]] and found.counts.unscorable == 2 and found.counts.shortened == 0


def test_a_model_that_takes_less_sets_the_limit() -> None:
    assert scorer(max_tokens=2048).limit == 512 and scorer(max_tokens=100).limit == 100


def test_settings_that_do_not_exist_are_refused() -> None:
    with pytest.raises(SettingsError, match="metric is 'kl'; it must be one of l2, pmi, pmi-mean, exp"):
        scorer(metric="kl")
    with pytest.raises(SettingsError, match="template is 'plain'; it must be chat or delift"):
        scorer(template="plain")


def test_a_forward_pass_is_bounded_however_many_rows_there_are() -> None:
    def largest(rows: int) -> tuple[int, int]:
        model, inputs, logits = tiny.model(), [], []
        model.model.embed_tokens.register_forward_hook(lambda module, given, out: inputs.append(given[0].numel()))
        model.lm_head.register_forward_hook(lambda head, given, out: logits.append(out.numel()))
        scorer(model=model, batch_tokens=600).columns(tiny.pool(2), tiny.pool(rows))
        return max(inputs), max(logits)

    few, many = largest(20), largest(60)
    assert many[0] <= 600 and many[1] <= 600 * 288 and few[0] <= 600


def test_rows_are_fewer_when_a_long_example_stands_before_them() -> None:
    batches = list(icl_prefix._batches([10] * 100, 1990, 500))
    assert [len(batch) for batch in batches] == [2] * 50  # 8 x 500 tokens hold two of 2,000
    assert list(icl_prefix._batches([10, 20], 10**6, 500)) == [[0], [1]]


def test_logits_are_made_for_the_response_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = tiny.model(), []
    model.lm_head.register_forward_hook(lambda head, given, out: seen.append(out.shape[:-1].numel()))
    found = scorer(model=model, batch_tokens=10**6)
    rows = found.rows(POOL)
    targets = sum(question.n_targets for question in rows.questions)
    found._checked = True
    seen.clear()
    found.column(POOL[0], rows)
    assert seen == [1, targets]  # one for the prefix, which predicts nothing


def test_tokens_and_operations_are_counted_by_the_cost_model() -> None:
    found = scorer()
    rows = found.rows(POOL)
    found._checked = True
    before = found.tokens, found.flops
    found.column(POOL[0], rows)
    tokens = len(found.prompts.prefix(POOL[0])) + sum(len(question.suffix) for question in rows.questions)
    targets = sum(question.n_targets for question in rows.questions)
    assert found.tokens - before[0] == tokens
    assert found.flops - before[1] == pytest.approx(model_cost(found.model).flops(tokens, targets))


def test_the_cost_model_counts_weights_that_multiply() -> None:
    model = tiny.model()
    cost, head = model_cost(model), 288 * 32
    everything = sum(weight.numel() for weight in model.parameters())
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert cost.head == head and cost.body == everything - head * (1 if tied else 2)
    assert cost.naive(200, 60, 120) == 2 * (cost.body + head) * 380
    assert cost.shared(200, 60, 120, 50) == 2 * cost.body * 184 + 2 * head * 120
