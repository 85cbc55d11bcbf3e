"""A row's tokens are the tokenizer's own for the whole text, whatever it does with spaces."""

import copy

import pytest
import vocabularies
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from coresift.data.pool import Example, Message
from coresift.errors import RenderError
from coresift.models.render import Rendered, Renderer
from coresift.models.template import ALPACA, CHATML, PLAIN

TITLED = "{{ bos_token }}{% for m in messages %}{{ '<' + m.role + '>\n' + m.content + eos_token }}{% endfor %}"
SPACED = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ 'Q: ' + m.content + ' A:' }}"
    "{% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}"
)
SPACE_AFTER = SPACED.replace("m.content + eos_token", "m.content + ' ' + eos_token")
ENDLESS = "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}"
DIRECT = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + '[/INST]' }}"
    "{% else %}{{ m.content + eos_token }}{% endif %}{% endfor %}"
)
GLUED = (
    "{{ bos_token }}{% for m in messages %}"
    "{{ m.content + (eos_token if m.role == 'assistant' else '') }}{% endfor %}"
)
TEMPLATES = {
    "titled": TITLED, "spaced": SPACED, "space-after": SPACE_AFTER, "endless": ENDLESS, "direct": DIRECT,
    "plain": PLAIN, "chatml": CHATML, "alpaca": ALPACA, "glued": GLUED,
}  # fmt: skip
words = st.text(st.sampled_from("Anthe ret1.\n  \t\u00e9<>:_"), min_size=1, max_size=14)


def rounds(*turns: str) -> Example:
    roles = ("user", "assistant")
    return Example(id="e", messages=tuple(Message(roles[at % 2], turn) for at, turn in enumerate(turns)))


def spelled(renderer: Renderer, tokens: tuple[int, ...]) -> str:
    return str(renderer.tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def pieces(renderer: Renderer, tokens: tuple[int, ...]) -> list[str]:
    return [piece.replace("\u2581", "_") for piece in renderer.tokenizer.convert_ids_to_tokens(list(tokens))]


@pytest.mark.parametrize("kind", vocabularies.KINDS)
@pytest.mark.parametrize("template", TEMPLATES)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(turns=st.lists(words.filter(str.strip), min_size=2, max_size=4).filter(lambda turns: len(turns) % 2 == 0))
@example(turns=["q", "    return 1"])
@example(turns=["q", "Ann.", "q\n", "\n\nAnn."])
@example(turns=["q ", " the  Ann ", "the", "\u00e9 1."])
def test_a_rows_tokens_spell_a_prefix_of_the_whole_text_tokenised(kind: str, template: str, turns: list[str]) -> None:
    renderer = Renderer(vocabularies.vocabulary(kind, TEMPLATES[template]), max_tokens=999)
    row = renderer.render(rounds(*turns))
    text = renderer.tokenizer.apply_chat_template(
        [{"role": message.role, "content": message.content} for message in rounds(*turns).messages], tokenize=False
    )
    whole = tuple(renderer.tokenizer(text, add_special_tokens=False)["input_ids"])
    own = row.tokens[:-1] if template == "endless" else row.tokens  # EOS, which that template does not write
    own = own[:-1] if template == "chatml" and own[-1] == renderer.tokenizer.eos_token_id else own
    assert spelled(renderer, whole).startswith(spelled(renderer, own))
    answers = spelled(renderer, row.response_tokens)
    for answer in turns[1::2]:
        assert answer.strip() in answers


CASES = [
    ("a", TITLED, ("q", "Ann."), {"*": ["Ann", ".", "</s>"]}),
    ("b", SPACED, ("q", "    return 1"), {
        "first": ["____", "_ret", "u", "r", "n", "_", "1", "</s>"],
        "always": ["____", "_ret", "u", "r", "n", "_", "1", "</s>"],
        "prepend": ["____", "_ret", "u", "r", "n", "_", "1", "</s>"],
    }),
    ("c", SPACE_AFTER, ("q", "Ann."), {"*": ["_Ann", ".", "_", "</s>"]}),
    ("d", ENDLESS, ("q", "Ann.", "r", "the"), {"*": ["_Ann", ".", "_the", "</s>"]}),
    ("e", PLAIN, ("q", "Ann."), {"*": ["Ann", ".", "</s>"]}),
    ("f", DIRECT, ("q", "Ann."), {"first": ["Ann", ".", "</s>"], "*": ["_Ann", ".", "</s>"]}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "template", "turns", "expected"), CASES, ids=[case[0] for case in CASES])
@pytest.mark.parametrize("kind", ["first", "always", "prepend"])
def test_spaces_neither_appear_nor_disappear_around_a_response(
    name: str, template: str, turns: tuple[str, ...], expected: dict[str, list[str]], kind: str
) -> None:
    renderer = Renderer(vocabularies.vocabulary(kind, template), max_tokens=999)
    row = renderer.render(rounds(*turns))
    assert pieces(renderer, row.response_tokens) == expected.get(kind, expected.get("*"))
    if name == "d":  # no space comes into the context after an earlier response
        assert pieces(renderer, row.tokens)[pieces(renderer, row.tokens).index(".") + 1] == "<0x0A>"


@pytest.mark.parametrize("kind", ["first", "always", "prepend"])
def test_without_a_template_a_sentencepiece_response_begins_without_a_space(kind: str) -> None:
    renderer = Renderer(vocabularies.vocabulary(kind), max_tokens=999)
    shown = pieces(renderer, renderer.render(rounds("q", "Ann.")).tokens)
    assert shown[-5:] == [":", "<0x0A>", "Ann", ".", "</s>"]


@pytest.mark.parametrize("kind", vocabularies.KINDS)
def test_many_at_once_are_rendered_as_one_by_one(kind: str) -> None:
    renderer = Renderer(vocabularies.vocabulary(kind, SPACED), max_tokens=999)
    rows = [rounds("q", "Ann."), rounds("the", "\nre\n", "q", " 1"), rounds("q", "a \ud800 b"), rounds("q", "Ann.")]
    together = renderer.render_many(rows)
    assert [type(row) for row in together] == [Rendered, Rendered, type(together[2]), Rendered]
    for row, found in zip(rows, together, strict=True):
        assert renderer.render_many([row]) == [found]
    assert "not valid Unicode" in together[2].reason


def test_a_boundary_inside_a_token_is_cut_behind_a_marker() -> None:
    renderer = Renderer(vocabularies.vocabulary("bytes", GLUED), max_tokens=999)
    row = renderer.render(rounds("q:", "\n\nAnn"))
    assert pieces(renderer, row.response_tokens) == ["\u010a\u010a", "Ann", "</s>"]
    row = renderer.render(rounds("q.", "\nAnn"))  # the vocabulary has a token of a full stop and a newline
    assert pieces(renderer, row.tokens) == ["<s>", "q", ".", "\u010a", "Ann", "</s>"]
    assert row.response == (False, False, False, True, True, True)


def test_a_tokenizer_that_joins_everything_is_refused() -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    every = ["\n", "a", ".", "0", "|", "\u00e9"]
    pieces = ["</s>", "q", "x", *every, *(f"{marker}x" for marker in every), "qx"]
    vocab = {piece: place for place, piece in enumerate(pieces)}
    merges = [(marker, "x") for marker in (*every, "q")]
    backend = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    backend.pre_tokenizer = pre_tokenizers.Split("never", "isolated")
    backend.decoder = decoders.Fuse()
    made = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>")
    made.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    with pytest.raises(RenderError, match="example e: the tokenizer does not separate 'x' from what comes before"):
        Renderer(made, max_tokens=9).render(rounds("q", "x"))


def test_a_tokenizer_that_spells_otherwise_once_it_is_cut_is_refused() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocab = {piece: place for place, piece in enumerate(["</s>", "q", "x", "a", "qx"])}
    backend = Tokenizer(models.BPE(vocab=vocab, merges=[("q", "x")]))  # without a decoder tokens are joined by spaces
    backend.pre_tokenizer = pre_tokenizers.Split("never", "isolated")
    made = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>")
    made.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    with pytest.raises(RenderError, match="cannot be cut into tokens where a response begins or ends without changing"):
        Renderer(made, max_tokens=9).render(rounds("q", "x"))


def test_a_prompt_that_is_not_unicode_is_refused() -> None:
    renderer = Renderer(vocabularies.vocabulary("words", SPACED), max_tokens=9)
    with pytest.raises(RenderError, match="example of a prompt: its text is not valid Unicode.*Fix the row"):
        renderer.prompt((Message("user", "a \ud800 b"),))


def test_tokenizers_that_strip_spaces_around_their_tokens_are_read_by_offsets() -> None:
    from tokenizers import AddedToken

    made = copy.deepcopy(vocabularies.vocabulary("words"))
    made.add_special_tokens({"additional_special_tokens": [AddedToken("<|e|>", rstrip=True, lstrip=True)]})
    made.chat_template = "{% for m in messages %}{{ m.role + ':' + m.content + ' <|e|>\n ' }}{% endfor %}"
    renderer = Renderer(made, max_tokens=99)
    row = renderer.render(rounds("q", "Ann.", "r", "the"))
    assert pieces(renderer, row.response_tokens) == ["Ann", ".", "<|e|>", "t", "he", "<|e|>"]


@pytest.mark.parametrize("kind", vocabularies.KINDS)
@pytest.mark.parametrize("answer", ["Ann.", " Ann", "\nAnn"])
def test_phi_s_tokens_swallow_the_newline_after_them(kind: str, answer: str) -> None:
    from tokenizers import AddedToken

    made = copy.deepcopy(vocabularies.vocabulary(kind))
    named = [AddedToken(name, rstrip=True, normalized=False) for name in ("<|user|>", "<|assistant|>", "<|end|>")]
    made.add_special_tokens({"additional_special_tokens": named})
    made.chat_template = "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}"
    renderer = Renderer(made, max_tokens=99)
    row = renderer.render(rounds("q", answer, "r", answer))
    whole = made("<|user|>\nq<|end|>\n<|assistant|>\n" + answer + "<|end|>\n<|user|>\nr", add_special_tokens=False)
    at = whole["input_ids"].index(made.convert_tokens_to_ids("<|assistant|>")) + 1
    expected = whole["input_ids"][at : whole["input_ids"].index(made.convert_tokens_to_ids("<|end|>"), at) + 1]
    assert list(row.response_tokens) == expected * 2


def test_a_tokenizer_without_offsets_gives_the_same_tokens() -> None:
    for kind in ("first", "bytes", "words"):
        made = vocabularies.vocabulary(kind, SPACED)
        renderer, slow = Renderer(made, max_tokens=999), Renderer(made, max_tokens=999)
        slow._encoder._backend = None
        for turns in (("q", "    return 1"), ("the", "Ann.", "q ", "re")):
            assert slow.render(rounds(*turns)) == renderer.render(rounds(*turns))
