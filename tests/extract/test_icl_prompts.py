"""Prompts: prefix and suffix join to what the template renders, the response keeps its tokens, texts are exact."""

import copy
from dataclasses import replace

import pytest
import tiny

from coresift.data.pool import Example, Message
from coresift.errors import DataError, ModelError, RenderError
from coresift.extract.icl_prompts import ChatPrompts, DeliftPrompts, conversation, prompts_of
from coresift.extract.icl_shorten import GAP, room_for, shortened
from coresift.models.render import Renderer

SHOWN = tiny.example("Add 2 and 3", "5\n", "Now 4 and 4?", " that is 8", id="shown")
ASKED = tiny.example("Add 7 and 1", "the answer is 8", id="asked")


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_prefix_and_suffix_are_the_rendering_of_the_whole_conversation(family: str) -> None:
    prompts, renderer = ChatPrompts(tiny.tokenizer(family)), Renderer(tiny.tokenizer(family), max_tokens=512)
    for shown in (SHOWN, ASKED):
        for asked in (ASKED, SHOWN):
            whole = renderer.render(replace(asked, messages=(*shown.messages, *asked.messages)))
            question = prompts.question(asked)
            assert (*prompts.prefix(shown), *question.suffix.tolist()) == whole.tokens
            assert tuple(question.alone.tolist()) == renderer.render(asked).tokens


@pytest.mark.parametrize("template", ["chat", "delift"])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_response_has_the_same_tokens_with_and_without_an_example(family: str, template: str) -> None:
    prompts = prompts_of(template, tiny.tokenizer(family))
    question = prompts.question(ASKED)
    target = question.suffix[-question.n_targets :]
    assert (target == question.alone[-question.n_targets :]).all() and question.n_targets < len(question.suffix)
    answer = prompts.decode(target.tolist()).strip().removeprefix("<think>\n\n</think>\n\n")
    assert answer.startswith("the answer is 8")


def test_the_delift_prompts_are_exact() -> None:
    prompts = DeliftPrompts(tiny.tokenizer("plain"))
    question = prompts.question(ASKED)
    guide = (
        "Use the following example as a guide to answer the query in the same format and style, "
        "providing a clear and concise response."
    )
    shown = prompts.decode([*prompts.prefix(ASKED), *question.suffix.tolist()])
    assert shown == (
        f"Instruction:\n{guide}\n\n\nExample:\nAdd 7 and 1\nthe answer is 8\n\n\n"
        "Query:\nAdd 7 and 1\n</s>the answer is 8</s>"
    )
    assert prompts.decode(question.alone.tolist()) == (
        "Instruction: Please generate a response to the following query.\n\n\n"
        "Query: Add 7 and 1\n</s>the answer is 8</s>"
    )


def test_a_query_of_several_turns_is_everything_before_the_last_answer() -> None:
    prompts = DeliftPrompts(tiny.tokenizer("plain"))
    text = prompts.decode(prompts.question(SHOWN).suffix.tolist())
    assert text == "Add 2 and 3\n5\n\nNow 4 and 4?\n</s> that is 8</s>"


def test_system_texts_are_joined_to_their_user_turn_and_late_turns_are_dropped() -> None:
    turns = (*tiny.example("Hi", "Hello", system="Be brief.").messages, Message("user", "left over"))
    assert conversation(Example(id="e", messages=turns)).messages == (
        Message("user", "Be brief.\n\nHi"),
        Message("assistant", "Hello"),
    )


@pytest.mark.parametrize("template", ["chat", "delift"])
@pytest.mark.parametrize("what", ["question", "prefix"])
def test_an_empty_response_or_no_query_is_refused(template: str, what: str) -> None:
    use = getattr(prompts_of(template, tiny.tokenizer()), what)
    with pytest.raises(DataError, match="example e7: its last response is empty, so there is nothing to predict"):
        use(tiny.example("Q", " \n", id="e7"))
    with pytest.raises(DataError, match="example e8: no user turn before its first answer, so there is no query"):
        use(Example(id="e8", messages=(Message("assistant", "Hello"),)))


@pytest.mark.parametrize("template", ["chat", "delift"])
def test_text_that_is_no_unicode_is_refused(template: str) -> None:
    with pytest.raises(RenderError, match="not valid Unicode"):
        prompts_of(template, tiny.tokenizer()).prefix(tiny.example("a \ud800 b", "c"))


def test_delift_prompts_need_an_end_token() -> None:
    bare = copy.deepcopy(tiny.tokenizer("plain"))
    bare.eos_token = None
    with pytest.raises(ModelError, match="no EOS token, which the delift template needs"):
        DeliftPrompts(bare)


COUNTING = "{% for m in messages %}{{ (messages | length | string) + m.role + m.content + '</s>' }}{% endfor %}"
GLUED = (
    "{% for m in messages if m.role != 'assistant' %}{{ m.content }}{% endfor %}"
    "{% for m in messages if m.role == 'assistant' %}{{ m.content + '</s>' }}{% endfor %}"
)


@pytest.mark.parametrize("template", [COUNTING, GLUED])
@pytest.mark.parametrize("what", ["question", "prefix"])
def test_a_template_that_looks_at_the_whole_conversation_is_refused(template: str, what: str) -> None:
    odd = copy.deepcopy(tiny.tokenizer("plain"))
    odd.chat_template = template
    with pytest.raises(RenderError, match="example e0: the chat template shows it differently with other turns around"):
        getattr(ChatPrompts(odd), what)(tiny.example("Q", "A"))


@pytest.mark.parametrize("template", ["chat", "delift"])
def test_a_long_example_loses_the_middle_of_its_longest_turn(template: str) -> None:
    prompts = prompts_of(template, tiny.tokenizer())
    long = tiny.example("Count", "".join(f"{number} é " for number in range(100)))
    room = room_for(len(prompts.prefix(long)), 50)
    found = shortened(prompts, long, room)
    assert found is not None and room - 40 < len(found) <= room
    text = prompts.decode(found)
    assert "Count" in text and "0 é 1" in text and GAP in text and "98 é 99" in text and "50 é" not in text
    assert shortened(prompts, long, 10_000) == prompts.prefix(long)


def test_an_example_of_which_next_to_nothing_is_left_is_not_shown() -> None:
    prompts = ChatPrompts(tiny.tokenizer())
    least = len(prompts.prefix(tiny.example("a", "b")))
    long = tiny.example("x" * 200, "y" * 200)
    assert shortened(prompts, long, least) is None
    assert shortened(prompts, long, least + 20) is not None


def test_room_is_rounded_down_so_that_queries_share_a_prefix() -> None:
    assert [room_for(512, suffix) for suffix in (0, 1, 63, 64, 65, 500, 600)] == [512, 448, 448, 448, 384, 0, 0]
