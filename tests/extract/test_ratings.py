"""Ratings: the marks' tokens come from the tokenizer, every example has its own row, and nothing is cut."""

from pathlib import Path

import pytest
import tiny
import torch

from coresift.data.pool import Message
from coresift.errors import DataError, ModelError, RenderError
from coresift.extract.embeddings import text_of
from coresift.extract.ratings import Rater, extract_ratings
from coresift.features.ratings import MARKS, RatingSpec, ask
from coresift.features.store import FeatureStore
from coresift.models.render import Rendered, Renderer

SHORT = RatingSpec(prompts=("Rate {instruction} - {response}", "{response} for {instruction}?"))


def rater(architecture: str = "llama", family: str | None = None, *, max_tokens: int = 512) -> Rater:
    tokenizer = tiny.tokenizer(family or tiny.ARCHITECTURES[architecture])
    model = tiny.model(architecture, dtype=torch.float64)
    return Rater(model, Renderer(tokenizer, max_tokens=max_tokens), batch_tokens=600)


@pytest.mark.parametrize("family", sorted(tiny.FAMILIES))
def test_marks_are_what_the_tokenizer_and_its_template_make_of_them(family: str) -> None:
    found = rater(family=family)
    before, marks = found.marks
    assert [found.renderer.decode([token]).strip() for token in marks] == list(MARKS)
    asked = found.renderer.prompt((Message("user", "?"),))
    for mark, token in zip(MARKS, marks, strict=True):
        row = found.renderer.render(tiny.example("?", mark))
        assert row.tokens[: len(asked) + len(before) + 1] == (*asked, *before, token)


def test_marks_that_share_a_token_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = rater()
    row = Rendered("mark", (1, 2, 3), (False, True, True))
    rows = iter([row, row, row, row, Rendered("mark", (1, 4, 3), (False, True, True))])
    monkeypatch.setattr(Renderer, "render", lambda self, example: next(rows))
    with pytest.raises(ModelError, match=r"does not tell the marks apart by one token \(1: 2, 2: 2"):
        _ = found.marks


@pytest.mark.parametrize("architecture", ["llama", "gemma", "opt"])
def test_ratings_are_next_token_probabilities_whatever_the_batch(architecture: str) -> None:
    found, pool = rater(architecture), list(tiny.pool(5))
    rows, tokens = found.rate(pool, SHORT)
    before, marks = found.marks
    read = 0
    for place, example in enumerate(pool):
        for number, prompt in enumerate(SHORT.prompts):
            text = ask(prompt, instruction=text_of(example, "prompt"), response=text_of(example, "response"))
            ids = [*found.renderer.prompt((Message("user", text),)), *before]
            read += len(ids)
            with torch.inference_mode():
                logits = found.model(input_ids=torch.tensor([ids])).logits[0, -1]
            expected = logits.softmax(dim=0)[list(marks)].float()
            torch.testing.assert_close(rows[place, 5 * number : 5 * number + 5], expected, atol=1e-6, rtol=1e-4)
    assert tokens == read and rows.shape == (5, 10) and bool((rows > 0).all())


def test_examples_too_long_to_rate_are_named_and_nothing_is_cut() -> None:
    pool = [*tiny.pool(3), tiny.example("q" * 300, "a", id="long")]
    with pytest.raises(DataError, match=r"1 examples are longer than 256 tokens .*: 'long'\. Nothing is cut"):
        rater(max_tokens=256).rate(pool, SHORT)


def test_an_example_that_cannot_be_rendered_is_an_error_at_its_id() -> None:
    pool = [*tiny.pool(2), tiny.example("half a pair: \ud800", "a", id="odd")]
    with pytest.raises(RenderError, match="example odd: the question about it cannot be rendered: .*Unicode"):
        rater().rate(pool, SHORT)


def test_an_interrupted_extraction_ends_with_the_same_bytes(tmp_path: Path) -> None:
    pool, found, costs = list(tiny.pool(7)), rater(), []

    def run() -> None:
        where = FeatureStore(tmp_path, identity={}, ids=[example.id for example in pool], shard_rows=3)
        extract_ratings(found, pool, where, SHORT, account=lambda **cost: costs.append(cost))

    run()
    folder = tmp_path / SHORT.key
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    next(folder.glob("rows-0000003*")).unlink()
    run()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    assert len(costs) == 4 and all(cost["flops"] > 0 for cost in costs)
