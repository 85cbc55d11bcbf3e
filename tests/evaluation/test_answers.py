"""Answers against what was expected, and what examples in the context do."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import tiny
import torch

from coresift.data.pool import Example, Message
from coresift.errors import DataError, ModelError, RenderError, SettingsError
from coresift.evaluation import rouge as rouging
from coresift.evaluation.in_context import answers, conversation, shots
from coresift.evaluation.judge import Judge
from coresift.evaluation.metrics import check_metrics, score_answers
from coresift.evaluation.retrieval import nearest, word_cosines
from coresift.evaluation.rouge import rouge_1
from coresift.evaluation.settings import InContext
from coresift.evaluation.similarity import similarity
from coresift.models.encoders import Encoded
from coresift.models.render import Renderer

needs_rouge = pytest.mark.skipif(find_spec("rouge_score") is None, reason="needs the extra `evaluation`")


class Letters:
    """Vectors of letter counts."""

    max_tokens = 1000

    def encode(self, texts: Sequence[str], *, label: str = "") -> Encoded:
        rows = torch.tensor([[float(text.count(letter)) for letter in "abcdxyz"] for text in texts])
        return Encoded(rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-9), 0, 0)


@needs_rouge
def test_rouge_1_is_the_f1_of_shared_words() -> None:
    found = rouge_1(["the the cat", "A dog!", "", "x"], ["the cat sat on it", "a dog", "word", ""])
    # 2 of 3 words said, 2 of 5 expected: 2 * (2/3 * 2/5) / (2/3 + 2/5) = 0.5
    assert found == pytest.approx([0.5, 1.0, 0.0, 0.0])


@needs_rouge
def test_rouge_counts_a_repeated_word_as_often_as_it_was_expected() -> None:
    assert rouge_1(["no no no no"], ["no"]) == pytest.approx([0.4])


def test_rouge_says_what_to_install_before_anything_is_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rouging, "find_spec", lambda name: None)
    for ask in (lambda: rouge_1(["a"], ["a"]), lambda: check_metrics(["rouge1"], encoder=None, judge=None)):
        with pytest.raises(ModelError, match=r"pip install 'coresift\[evaluation\]'"):
            ask()


def test_similarity_is_the_cosine_and_a_blank_answer_has_none() -> None:
    assert similarity(Letters(), ["ab", "a", "x", " "], ["ab", "ab", "y", " "]) == pytest.approx(
        [1.0, 0.5**0.5, 0.0, 0.0], abs=1e-6
    )


@pytest.mark.parametrize("metric", ["similarity", "judge"])
def test_a_metric_without_what_it_needs_is_refused(metric: Any) -> None:
    with pytest.raises(SettingsError, match=f"'{metric}' is asked for without a"):
        score_answers(["a"], [tiny.example("q", "a")], metrics=[metric])


@needs_rouge
def test_metrics_stand_side_by_side_and_missing_scores_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    test = [tiny.example("q", "ab cd", id="1"), tiny.example("q", "x", id="2")]
    seen: list[Any] = []
    monkeypatch.setattr(Judge, "score", lambda self, *asked: seen.append(asked) or [4.0, None])
    judge = Judge(url="http://localhost/v1", model="m")
    metrics = ("exact", "rouge1", "similarity", "judge")
    scores = score_answers([" ab cd ", "y"], test, metrics=metrics, encoder=Letters(), judge=judge)  # type: ignore[arg-type]
    assert scores.means == {"exact": 0.5, "rouge1": 0.5, "similarity": pytest.approx(0.5), "judge": 4.0}
    assert scores.unscored == {"judge": 1} and scores.each["judge"] == (4.0, None)
    assert seen == [(["q", "q"], [" ab cd ", "y"], ["ab cd", "x"])]
    assert scores.to_json() == {"means": dict(scores.means), "unscored": {"judge": 1}}


def test_a_judge_that_scores_nothing_leaves_no_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Judge, "score", lambda self, *asked: [None])
    judge = Judge(url="http://localhost/v1", model="m")
    scores = score_answers(["a"], [tiny.example("q", "a")], metrics=["judge"], judge=judge)
    assert scores.means == {"judge": None} and scores.unscored == {"judge": 1}


def test_word_cosines_are_those_of_weighted_sets() -> None:
    examples, questions = ["red fish", "blue fish", "Fish? fish!", ""], ["red car", "fish", "nothing"]
    found = np.stack(list(word_cosines(questions, examples)))
    words = ["red", "fish", "blue", "car", "nothing"]
    counts = [1, 3, 1, 0, 0]
    worth = np.array([np.log(5 / (count + 1)) + 1 for count in counts])

    def vector(text: str) -> np.ndarray:
        return np.array([word in text.lower() for word in words]) * worth

    for row, question in zip(found, questions, strict=True):
        for value, example in zip(row, examples, strict=True):
            left, right = vector(question), vector(example)
            lengths = float(np.linalg.norm(left) * np.linalg.norm(right))
            assert value == pytest.approx(0.0 if lengths == 0 else float(left @ right) / lengths)


@pytest.mark.parametrize("encoder", [None, Letters()])
def test_the_nearest_come_first_and_ties_go_to_the_first(encoder: Any) -> None:
    examples = ["x y", "a b", "a z", "a b"]
    assert nearest(["a b"], examples, 3, encoder=encoder) == [(1, 3, 2)]
    assert nearest(["a b"], examples, 2, encoder=encoder, barred=[frozenset({1, 2})]) == [(3, 0)]
    assert nearest(["a b", "x"], examples, 9, encoder=encoder)[1][0] == 0


def test_retrieval_by_vectors_is_the_same_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["ab", "xyz", "abx", "dd", "cab"]
    whole = nearest(texts, texts[:4], 2, encoder=Letters())
    monkeypatch.setattr("coresift.evaluation.retrieval.BLOCK", 1)
    assert nearest(texts, texts[:4], 2, encoder=Letters()) == whole


def test_examples_are_earlier_turns_and_the_question_keeps_its_system_message() -> None:
    first = tiny.example("q1", "a1", id="1", system="be terse")
    second = tiny.example("q2", "a2", "q3", "a3", "open question", id="2")
    asked = tiny.example("q", "secret", id="3", system="be kind")
    turns = conversation((first, second), asked)
    assert [message.role for message in turns] == ["system", *["user", "assistant"] * 3, "user"]
    assert [message.content for message in turns] == ["be kind", "be terse\n\nq1", "a1", "q2", "a2", "q3", "a3", "q"]


def test_an_example_that_begins_with_an_answer_puts_its_system_message_in_a_turn_of_its_own() -> None:
    odd = Example(id="o", messages=(Message("system", "s"), Message("assistant", "a")))
    assert [(m.role, m.content) for m in conversation((odd,), tiny.example("q", "x"))] == [
        ("user", "s"),
        ("assistant", "a"),
        ("user", "q"),
    ]


def subset() -> list[Example]:
    return [tiny.example(f"what is {word}", word * 2, id=word) for word in ("red", "blue", "sky blue", "green")]


def renderer() -> Renderer:
    return Renderer(tiny.tokenizer("plain"), max_tokens=512)


def test_the_most_similar_example_stands_last_and_no_answer_is_shown() -> None:
    asked = tiny.example("what is sky blue colour", "SECRET", id="t")
    found = shots(renderer(), subset(), [asked], InContext(examples=2))
    text = renderer().tokenizer.decode(found.prompts[0])
    assert found.shown == ((1, 2),) and found.left_out == 0
    assert text.index("blueblue") < text.index("sky bluesky blue") < text.index("what is sky blue colour")
    assert "SECRET" not in text


def test_the_test_example_itself_is_never_shown() -> None:
    pool = subset()
    found = shots(renderer(), pool, [tiny.example("what is red", "redred", id="other id")], InContext(examples=4))
    assert 0 not in found.shown[0] and len(found.shown[0]) == 3


def test_examples_that_do_not_fit_are_left_out_the_least_similar_first() -> None:
    pool, asked = subset(), tiny.example("what is blue", "?", id="t")
    whole = shots(renderer(), pool, [asked], InContext(examples=3))
    limit = len(whole.prompts[0]) - 1
    found = shots(renderer(), pool, [asked], InContext(examples=3, max_prompt_tokens=limit))
    assert found.shown[0] == whole.shown[0][1:] and found.left_out == 1 and len(found.prompts[0]) <= limit
    with pytest.raises(DataError, match="test example t has .* tokens without its answer, but max_prompt_tokens is 5"):
        shots(renderer(), pool, [asked], InContext(examples=3, max_prompt_tokens=5))


def test_no_examples_is_the_plain_prompt_and_an_empty_subset_is_refused() -> None:
    asked = tiny.example("q", "a", id="t")
    more = tiny.example("q", "SECRET", "thanks", id="t")
    assert [message.content for message in conversation((), more)] == ["q"], "what follows the answer is not shown"
    plain = shots(renderer(), [], [asked], InContext(examples=0))
    assert plain.prompts == (renderer().prompt(asked.messages[:-1]),) and plain.shown == ((),)
    with pytest.raises(DataError, match="the subset is empty"):
        shots(renderer(), [], [asked], InContext())


def test_a_conversation_that_cannot_be_rendered_names_the_question_and_its_examples() -> None:
    rendering, asked = Renderer(tiny.tokenizer("gemma"), max_tokens=512), tiny.example("red", "a", id="t", system="s")
    with pytest.raises(RenderError, match="test example t, shown after examples red: .*refuses its turns"):
        shots(rendering, subset(), [asked], InContext(examples=1))


@pytest.mark.parametrize("family", ["llama3", "qwen3", "mistral", "gemma", "phi3", "plain"])
def test_answers_are_greedy_text_under_every_template(family: str) -> None:
    rendering = Renderer(tiny.tokenizer(family), max_tokens=512)
    settings = InContext(examples=2, max_new_tokens=4, batch_size=2)
    asked = shots(rendering, subset(), list(tiny.pool(3)), settings)
    model = tiny.model(dtype=torch.float64)
    together = answers(model, rendering, asked, settings)
    alone = answers(model, rendering, asked, settings.model_copy(update={"batch_size": 1}))
    assert len(together) == 3 and together == alone
