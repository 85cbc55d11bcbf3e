"""Rendering: the tokens to predict are the responses, in every family's template."""

import pytest
import tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from coresift.data.pool import Example, Message, Pool
from coresift.errors import ModelError, RenderError
from coresift.models.render import Renderer
from coresift.models.rendered_pool import render_pool

ENDS = {
    "llama3": "<|eot_id|>",
    "qwen2.5": "<|im_end|>",
    "qwen3": "<|im_end|>",
    "mistral": "</s>",
    "gemma": "<end_of_turn>",
    "phi3": "<|end|>",
    "plain": "</s>",
}
text = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
framed = st.tuples(st.sampled_from(["", " ", "  ", "\n", "\n\n ", "\t"]), text, st.sampled_from(["", " ", "\n", " \n"]))
turn = framed.map("".join).filter(lambda words: words.strip() != "")


def renderer(family: str, max_tokens: int = 4096) -> Renderer:
    return Renderer(tiny.tokenizer(family), max_tokens=max_tokens)


def copy(family: str, template: str | None) -> PreTrainedTokenizerFast:
    """A tokenizer with another chat template; the shared one stays as it is."""
    made = PreTrainedTokenizerFast(tokenizer_object=tiny.tokenizer(family).backend_tokenizer, eos_token="</s>")
    made.chat_template = template
    return made


@pytest.mark.parametrize("family", tiny.FAMILIES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(turns=st.lists(turn, min_size=2, max_size=6).filter(lambda turns: len(turns) % 2 == 0))
def test_tokens_to_predict_decode_to_the_responses(family: str, turns: list[str]) -> None:
    made = renderer(family)
    example = tiny.example(*turns)
    row = made.render(example)
    decoded = made.tokenizer.decode(list(row.response_tokens), skip_special_tokens=False)
    answers = [answer.removeprefix("<think>\n\n</think>\n\n") for answer in decoded.split(ENDS[family])]
    expected = [message.content.strip() for message in example.messages if message.role == "assistant"]
    assert [answer.strip() for answer in answers] == [*expected, ""]
    assert row.response[0] is False and row.response[-1] is True
    assert len(row.tokens) == len(row.response)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_spliced_tokens_spell_what_the_template_renders(family: str) -> None:
    made = renderer(family)
    example = tiny.example("Who?", "It was he.", "Sure?", "Yes: 5 > 4")
    row = made.render(example)
    turns = [{"role": message.role, "content": message.content} for message in example.messages]
    if made.tokenizer.chat_template is not None:
        whole = made.tokenizer.apply_chat_template(turns, tokenize=False)
        assert whole.startswith(made.tokenizer.decode(list(row.tokens)))
        assert whole[len(made.tokenizer.decode(list(row.tokens))) :].replace(made.tokenizer.eos_token, "").strip() == ""
    bos = made.tokenizer.bos_token_id
    assert row.tokens.count(bos) == (1 if bos is not None and family != "phi3" else 0)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_prompt_is_the_context_of_the_last_response(family: str) -> None:
    made = renderer(family)
    example = tiny.example("One", "two", "three", "four five")
    row = made.render(example)
    prompt, opened = made.prompt(example.messages[:-1]), made.prompt(example.messages[:-1], opened=True)
    assert row.tokens[: len(opened)] == opened and opened[: len(prompt)] == prompt
    assert all(row.response[len(prompt) :]) and not row.response[len(prompt) - 1]
    assert made.decode(row.tokens[len(opened) :]).strip() == "four five"


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_generation_stops_at_the_end_marker(family: str) -> None:
    made = renderer(family)
    assert made.tokenizer.convert_tokens_to_ids(ENDS[family]) in made.stop_tokens
    assert made.tokenizer.eos_token_id in made.stop_tokens


def test_every_turn_is_predicted_only_where_the_assistant_speaks() -> None:
    made = renderer("qwen3")
    row = made.render(tiny.example("ask", "tell", "more", "done", system="be brief"))
    decoded = made.decode(row.response_tokens)
    assert "ask" not in decoded and "more" not in decoded and "brief" not in decoded and "assistant" not in decoded


def test_the_empty_thought_that_a_template_writes_after_the_generation_prompt_is_predicted() -> None:
    made = renderer("qwen3")
    row = made.render(tiny.example("ask", "tell", "more", "done"))
    assert made.tokenizer.decode(row.response_tokens) == "tell<|im_end|><think>\n\n</think>\n\ndone<|im_end|>"


def test_spaces_before_a_response_belong_to_it_newlines_do_not() -> None:
    made = renderer("mistral")
    row = made.render(tiny.example("q", "the end"))
    assert made.tokenizer.decode(list(row.response_tokens)) == " the end</s>"
    made = renderer("llama3")
    row = made.render(tiny.example("q", "the end"))
    assert made.tokenizer.decode(list(row.response_tokens)) == "the end<|eot_id|>"


def test_response_tokens_do_not_depend_on_what_stands_before_them() -> None:
    # ":" and a newline merge into one token in this vocabulary, and so do two newlines
    made = renderer("plain")
    alone = made.tokenizer("\nthe end", add_special_tokens=False)["input_ids"]
    row = made.render(tiny.example("q", "\nthe end"))
    assert list(row.response_tokens) == [*alone, made.tokenizer.eos_token_id]


def test_eos_is_predicted_when_the_template_has_no_end_marker() -> None:
    made = Renderer(
        copy("plain", "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}"), max_tokens=99
    )
    row = made.render(tiny.example("q", "the end", "r", "again"))
    assert made.tokenizer.decode(list(row.response_tokens)) == " the end again</s>"


def test_response_at_the_very_start_is_predicted_from_the_start_token() -> None:
    made = Renderer(copy("plain", "{% for m in messages %}{{ m.content }}{% endfor %}"), max_tokens=99)
    row = made.render(Example(id="e", messages=(Message("assistant", "hi"),)))
    assert row.tokens[0] == made.start_token and row.response == (False, True, True, True)
    assert made.prompt(()) == (made.start_token,)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("m.content | upper", "example e7: the chat template shows assistant turn 1 0 times.*another template"),
        ("m.content[:3]", "example e7: the chat template shows assistant turn 1 0 times"),
        ("m.content + m.content", "example e7: the chat template shows assistant turn 1 2 times"),
        ("m.content.replace('a', 'b') if 'xyz' in m.content else m.content", "alters a response.*Fix the response"),
    ],
)
def test_template_that_alters_a_response_is_refused_with_the_id(change: str, says: str) -> None:
    made = Renderer(
        copy("plain", "{% for m in messages %}{{ '[' + (" + change + ") + ']' }}{% endfor %}"), max_tokens=99
    )
    with pytest.raises(RenderError, match=says) as caught:
        made.render(tiny.example("q", "a xyz a", id="e7"))
    assert "e7" in str(caught.value)


def test_role_the_template_does_not_take_is_refused_with_the_id() -> None:
    with pytest.raises(
        RenderError, match="example e3: .*refuses its turns.*System role not supported.*Change or remove"
    ):
        renderer("gemma").render(tiny.example("q", "a", id="e3", system="be kind"))


def test_blank_response_without_end_marker_is_refused() -> None:
    tokenizer = copy("plain", "{% for m in messages %}{{ m.content | trim }}{% endfor %}")
    tokenizer.eos_token = None
    made = Renderer(tokenizer, max_tokens=99)
    with pytest.raises(RenderError, match="example e0: no token to predict.*Fix or drop the row"):
        made.render(tiny.example("q", "  "))


def test_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(RenderError, match="example e0: its text is not valid Unicode"):
        renderer("llama3").render(tiny.example("q", "a \ud800 b"))


def test_response_the_tokenizer_cannot_represent_is_refused() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    backend = Tokenizer(models.WordLevel({"a": 0, "<unk>": 1, "</s>": 2}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    made = Renderer(PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>"), max_tokens=99)
    with pytest.raises(RenderError, match="example e0: its response decodes to .* instead of 'a z'"):
        made.render(tiny.example("a", "a z"))


def test_tokenizer_without_bos_starts_knowledge_from_eos_then_pad_else_refuses() -> None:
    assert renderer("llama3").start_token == tiny.tokenizer("llama3").bos_token_id
    assert renderer("qwen2.5").start_token == tiny.tokenizer("qwen2.5").eos_token_id
    bare = copy("plain", None)
    bare.eos_token, bare.pad_token = None, "<pad>"
    assert Renderer(bare, max_tokens=9).start_token == bare.pad_token_id
    bare.pad_token = None
    with pytest.raises(ModelError, match="no BOS, EOS or PAD token.*Name one of them in its tokenizer_config.json"):
        _ = Renderer(bare, max_tokens=9).start_token


def test_batches_are_rendered_as_each_alone() -> None:
    made, pool = renderer("qwen3"), tiny.pool(11)
    batches = [pool[0:4], pool[4:8], pool[8:11]]
    assert list(made.render_batches(batches)) == [made.render_many(batch) for batch in batches]
    assert list(made.render_batches([])) == []


def test_conversations_that_do_not_fit_are_left_out_never_cut() -> None:
    pool = Pool(
        [tiny.example("q", "short", id="a"), tiny.example("q", "long " * 60, id="b"), tiny.example("q", "ok", id="c")]
    )
    made = renderer("llama3", max_tokens=90)
    rendered = render_pool(pool, made)
    assert (rendered.fits, rendered.excluded) == ((0, 2), (1,))
    assert rendered.rows[1] is None
    exact = len(renderer("llama3").render(pool[1]).tokens)
    assert render_pool(pool, renderer("llama3", max_tokens=exact)).excluded == ()
    assert render_pool(pool, renderer("llama3", max_tokens=exact - 1)).excluded == (1,)


def test_sentinels_avoid_the_text_of_the_conversation() -> None:
    made = renderer("llama3")
    row = made.render(tiny.example("coresiftAnswer0E and coresiftAnswerX0E", "coresiftAnswer0E"))
    assert made.decode(row.response_tokens) == "coresiftAnswer0E"


def test_templates_that_show_a_date_always_show_the_same() -> None:
    template = "{{ date_string or strftime_now('%d %b %Y') }}{% for m in messages %}{{ ': ' + m.content }}{% endfor %}"
    row = Renderer(copy("plain", template), max_tokens=99).render(tiny.example("q", "a"))
    assert tiny.tokenizer("plain").decode(list(row.tokens)).startswith("26 Jul 2024: q")
