"""Greedy answers: many at a time are the same as one by one, and end where they should."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import tiny
import torch

from coresift.errors import SettingsError
from coresift.evaluation.generation import generate
from coresift.evaluation.scores import HeldOut, mean_and_spread, score, share_by_kind
from coresift.models.encoders import Encoded
from coresift.models.render import Renderer
from coresift.models.rendered_pool import render_pool


def greedy(model: torch.nn.Module, prompt: list[int], stops: set[int], steps: int) -> tuple[int, ...]:
    """One token at a time, everything computed again."""
    tokens = list(prompt)
    for _ in range(steps):
        with torch.inference_mode():
            token = int(model(input_ids=torch.tensor([tokens])).logits[0, -1].argmax())
        if token in stops:
            break
        tokens.append(token)
    return tuple(tokens[len(prompt) :])


@pytest.mark.parametrize("architecture", ["llama", "qwen3", "gemma", "opt"])
def test_batches_of_different_lengths_answer_as_one_by_one(architecture: str) -> None:
    model = tiny.model(architecture, dtype=torch.float64)
    prompts = [[5, 9, 20], [7], [30, 31, 32, 33, 34, 35, 36], [8, 8], [100, 2]]
    stops = {greedy(model, [8, 8], set(), 3)[-1]}
    answers = generate(model, prompts, stop_tokens=sorted(stops), pad_token=0, max_new_tokens=6, batch_size=3)
    assert answers == [greedy(model, prompt, stops, 6) for prompt in prompts]
    assert len(answers[3]) < 6, "one of them meets a stop token"


def test_scores_are_the_losses_and_the_share_of_exact_answers() -> None:
    model, pool = tiny.model(), tiny.pool(9)
    renderer = Renderer(tiny.tokenizer(), max_tokens=256)
    rows = tuple(row for row in render_pool(pool, renderer).rows if row is not None)
    kinds = ("knowledge", "following", "") * 3
    held_out = HeldOut(pool=pool, rows=rows, kinds=kinds, answers=True, max_new_tokens=2)
    scores = score(model, held_out, renderer)
    assert scores.loss["response"] == pytest.approx(scores.loss["knowledge"] + scores.loss["following"], abs=1e-6)
    assert scores.accuracy == {"following": 0.0, "knowledge": 0.0, "all": 0.0}, "an untrained model knows nothing"


def test_an_answer_counts_only_when_it_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = tiny.pool(3)
    renderer = Renderer(tiny.tokenizer(), max_tokens=256)
    rows = tuple(row for row in render_pool(pool, renderer).rows if row is not None)
    texts = [pool[0].messages[-1].content + " ", pool[1].messages[-1].content + "!", pool[2].messages[-1].content]
    said = [tuple(renderer.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
    monkeypatch.setattr("coresift.evaluation.scores.generate", lambda *args, **kwargs: said)
    held_out = HeldOut(pool=pool, rows=rows, kinds=("knowledge", "knowledge", "following"), answers=True)
    assert score(tiny.model(), held_out, renderer).accuracy == {"following": 1.0, "knowledge": 0.5, "all": 2 / 3}


def test_kinds_that_are_not_labelled_count_only_over_all() -> None:
    assert share_by_kind([True, False], ["", ""]) == {"all": 0.5}


def test_the_spread_of_one_value_is_zero_and_of_several_the_sample_deviation() -> None:
    assert mean_and_spread([0.25]) == (0.25, 0.0)
    assert mean_and_spread([1.0, 3.0]) == (2.0, pytest.approx(2**0.5))


class Alike:
    """An encoder to which all texts are alike."""

    max_tokens = 9

    def encode(self, texts: Sequence[str], *, label: str = "") -> Encoded:
        return Encoded(torch.ones(len(texts), 1), 0, 0)


def test_the_answers_of_a_tuned_model_are_scored_by_the_metrics_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, renderer = tiny.pool(3), Renderer(tiny.tokenizer(), max_tokens=256)
    rows = tuple(row for row in render_pool(pool, renderer).rows if row is not None)
    texts = [pool[0].messages[-1].content, "something else", " "]
    said = [tuple(renderer.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
    monkeypatch.setattr("coresift.evaluation.scores.generate", lambda *args, **kwargs: said)
    held_out = HeldOut(pool=pool, rows=rows, kinds=("",) * 3, answers=True, metrics=("similarity",))
    with pytest.raises(SettingsError, match="'similarity' is asked for without an encoder"):
        score(tiny.model(), held_out, renderer)
    scores = score(tiny.model(), held_out, renderer, encoder=Alike())
    assert scores.accuracy == {"all": 1 / 3}
    assert scores.metrics == {"means": {"exact": 1 / 3, "similarity": 2 / 3}, "unscored": {}}


def test_metrics_are_part_of_what_a_score_depends_on() -> None:
    pool, renderer = tiny.pool(3), Renderer(tiny.tokenizer(), max_tokens=256)
    rows = tuple(row for row in render_pool(pool, renderer).rows if row is not None)
    plain = HeldOut(pool=pool, rows=rows, kinds=("",) * 3, answers=True)
    more = replace(plain, metrics=("rouge1",))
    assert plain.fingerprint != more.fingerprint
