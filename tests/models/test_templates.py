"""What templates do to conversations: every fault is found, every word that a model writes itself is predicted."""

import json
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import tiny
from tokenizers import AddedToken
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from coresift.data.pool import Example, Message, Pool, ToolCall
from coresift.errors import ModelError, RenderError, SettingsError
from coresift.models import template as templates
from coresift.models.layout import SYSTEM_MOVED, THOUGHTS_DROPPED
from coresift.models.render import Rendered, Renderer
from coresift.models.rendered_pool import render_pool
from coresift.models.template import CHATML
from coresift.models.time_limit import OutOfTime, time_limit


def system(text: str) -> Message:
    return Message("system", text)


def user(text: str) -> Message:
    return Message("user", text)


def said(text: str, **more: Any) -> Message:
    return Message("assistant", text, **more)


def renderer(
    template: str | dict[str, str] | None, *special: str, choice: str | None = None, **tokens: str | None
) -> Renderer:
    """A byte-level tokenizer of ChatML with a template; `special` are further tokens of it."""
    backend = tiny.tokenizer("qwen2.5").backend_tokenizer
    made = PreTrainedTokenizerFast(tokenizer_object=backend, **{"eos_token": "<|im_end|>", **tokens})
    made.add_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    made.chat_template = template
    return Renderer(made, max_tokens=9999, template=choice)


def render(made: Renderer, *messages: Message, tools: str = "") -> Rendered:
    return made.render(Example(id="e", messages=messages, tools=tools))


def text(made: Renderer, row: Rendered) -> str:
    """The row with what is predicted in brackets."""
    shown = ""
    for place, token in enumerate(row.tokens):
        before = place > 0 and row.response[place - 1]
        shown += ("[[" if row.response[place] and not before else "]]" if before and not row.response[place] else "")
        shown += made.tokenizer.decode([token], skip_special_tokens=False)
    return shown + ("]]" if row.response[-1] else "")


def predicted(made: Renderer, row: Rendered) -> str:
    return str(made.tokenizer.decode(list(row.response_tokens), skip_special_tokens=False))


# What is shown

HELD_BACK = (
    "{% set ns = namespace(s='') %}{% for m in messages %}{% if m.role == 'system' %}{% set ns.s = m.content + '\n' %}"
    "{%- elif m.role == 'user' %}{{ '<|im_start|>user\n' + (ns.s if loop.last else '') + m.content + '<|im_end|>\n' }}"
    "{%- else %}{{ '<|im_start|>assistant\n' + m.content + '<|im_end|>\n' }}{% endif %}{% endfor %}"
)


def test_a_system_text_kept_for_the_last_user_turn_stands_where_the_template_shows_it_at_inference() -> None:
    made = renderer(HELD_BACK)
    row = render(made, system("Be brief."), user("Hi"), said("Hello"))
    assert text(made, row) == (
        "<|im_start|>user\nBe brief.\nHi<|im_end|>\n<|im_start|>assistant\n[[Hello<|im_end|>]]"
    )
    assert row.notes == {SYSTEM_MOVED: 1}
    row = render(made, system("Be brief."), user("Hi"), said("Hello"), user("Who?"), said("He"))
    assert text(made, row) == (
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n[[Hello<|im_end|>]]\n"
        "<|im_start|>user\nBe brief.\nWho?<|im_end|>\n<|im_start|>assistant\n[[He<|im_end|>]]"
    )
    asked = made.prompt((system("Be brief."), user("Hi")))
    assert made.tokenizer.decode(asked) == "<|im_start|>user\nBe brief.\nHi<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        ("'' if m.role == 'system' else m.content", r"does not show the system message"),
        ("'' if m.role == 'user' else m.content", r"does not show the user message in turn 2 \('Hi you'\)"),
        ("m.content[:2] if m.role == 'user' else m.content", "does not show the user message in turn 2"),
        ("(m.content | upper) if m.role == 'user' else m.content", "does not show the user message in turn 2"),
    ],
)
def test_a_turn_that_the_template_does_not_show_is_named(shown: str, says: str) -> None:
    made = renderer("{% for m in messages %}{{ m.role + ':' + (" + shown + ") + '<|im_end|>' }}{% endfor %}")
    with pytest.raises(RenderError, match=f"example e: the chat template {says}"):
        render(made, system("Be brief."), user("Hi you"), said("Hello"))


def test_context_that_the_template_changes_in_its_spaces_only_is_shown() -> None:
    made = renderer(
        "{% for m in messages %}{{ m.role + ':' + (m.content.replace('\n\n', '\n') if m.role == 'user' else m.content)"
        " + '<|im_end|>' }}{% endfor %}"
    )
    row = render(made, user("Hi\n\nyou"), said("So.\n\nYes"))
    assert text(made, row) == "user:Hi\nyou<|im_end|>assistant:[[So.\n\nYes<|im_end|>]]"


def test_turns_that_are_not_to_be_learned_are_context() -> None:
    made = renderer(CHATML)
    row = render(made, user("2+2?"), said("5", learn=False), user("Really?"), said("No: 4"))
    assert predicted(made, row) == "No: 4<|im_end|>"
    assert "assistant\n5<|im_end|>" in text(made, row)


def test_responses_that_a_template_looks_into_are_found_in_its_own_rendering() -> None:
    made = renderer(
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + ('!' if 'loud' in m.content else '?') + m.content"
        " + '<|im_end|>\n' }}{% endfor %}"
    )
    row = render(made, user("be loud"), said("loud it is"), user("a"), said("b"))
    assert predicted(made, row) == "loud it is<|im_end|>b<|im_end|>"
    assert text(made, row).startswith("<|im_start|>user\n!be loud<|im_end|>\n<|im_start|>assistant\n![[loud it is")


# The date


def test_no_template_sees_todays_date(monkeypatch: pytest.MonkeyPatch) -> None:
    made = renderer(
        "  {% macro day() %}{{ strftime_now('%d %B %Y, %H:%M') }}{% endmacro %}"
        "{{ strftime_now('%Y-%m-%d') + '/' + day() + '/' + (date_string or '') + '\n' }}"
        "{% for m in messages %}{{ m.content + '<|im_end|>' }}{% endfor %}"
    )
    row = render(made, user("q"), said("a"))
    assert text(made, row).startswith("2024-07-26/26 July 2024, 00:00/26 Jul 2024\n")

    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Tomorrow":
            return cls(2031, 1, 2)

    monkeypatch.setattr(chat_template_utils, "datetime", Tomorrow)
    assert render(made, user("q"), said("a")) == row


# What the model writes itself


@pytest.mark.parametrize(
    ("name", "head", "prompt", "expected"),
    [
        ("an empty thought", "<think>\n\n</think>\n\n", "", "<think>\n\n</think>\n\nb<|im_end|>"),
        ("a channel", "<|c|>final<|m|>", "", "<|c|>final<|m|>b<|im_end|>"),
        ("a recipient", "all\n", "", "all\nb<|im_end|>"),
        ("nothing", "", "", "b<|im_end|>"),
        ("less than the prompt", "", "<think>\n", "b<|im_end|>"),
        ("something else than the prompt", "<think></think>", "<think>\n", "b<|im_end|>"),
    ],
)
def test_words_between_the_generation_prompt_and_the_response_are_predicted(
    name: str, head: str, prompt: str, expected: str
) -> None:
    made = renderer(
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + (" + repr(head) + " if m.role == 'assistant' else "
        "'') + m.content + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' + " + repr(prompt) + " }}{% endif %}",
        "<|c|>", "<|m|>",
    )  # fmt: skip
    row = render(made, user("a"), said("b"), user("c"), said("b"))
    assert predicted(made, row) == expected * 2
    served = made.tokenizer.apply_chat_template(
        [{"role": "user", "content": "a"}], add_generation_prompt=True, tokenize=False
    )
    context = made.tokenizer.decode(made.prompt((user("a"),)))
    assert (context == served) == (prompt == "")
    opened = made.tokenizer.decode(made.prompt((user("a"),), opened=True))
    assert opened == f"<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n{head}"
    warned = [warning for warning in made.facts.warnings if "generation prompt" in warning]
    assert len(warned) == (0 if prompt == "" else 1)
    if prompt:
        assert f"{prompt!r}"[1:-1] in warned[0] and "enable_thinking=False" in warned[0]


TURNS = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + 'END' }}{% endfor %}"


def test_a_header_without_a_generation_prompt_is_context() -> None:
    made = renderer(TURNS.replace("END", "<|im_end|>"))
    assert predicted(made, render(made, user("a"), said("b"))) == "b<|im_end|>"


def test_a_difference_that_only_later_turns_show_is_told() -> None:
    made = renderer(HELD_BACK)
    (warning,) = made.facts.warnings
    assert "in a conversation of 2 answers, before answer 1" in warning and "Be brief." in warning
    assert warning.endswith("earlier answers are learned without it.")


# Ends

TEXT_END = "{% for m in messages %}{{ m.role + '\n' + m.content + '[end]\n' }}{% endfor %}"

def test_all_end_tokens_up_to_eos_are_predicted() -> None:
    made = renderer(TURNS.replace("END", "<|r|><|im_end|>"), "<|r|>")
    row = render(made, user("a"), said("b"), user("c"), said("d"))
    assert predicted(made, row) == "b<|r|><|im_end|>d<|r|><|im_end|>"
    assert made.stop_tokens == (made.tokenizer.eos_token_id,)


def test_end_tokens_without_eos_among_them_are_predicted_up_to_the_first() -> None:
    made = renderer(TURNS.replace("END", "<|e|><|x|>"), "<|e|>", "<|x|>")
    assert predicted(made, render(made, user("a"), said("b"))) == "b<|e|>"
    assert set(made.stop_tokens) == set(made.tokenizer.convert_tokens_to_ids(["<|e|>", "<|im_end|>"]))


def test_an_end_marker_that_is_ordinary_text_is_predicted_as_rendered() -> None:
    made = renderer(TEXT_END)
    row = render(made, user("q"), said("Hello"), user("r"), said("Again"))
    assert text(made, row) == (
        "user\nq[end]\nassistant\n[[Hello[end]]]\nuser\nr[end]\nassistant\n[[Again[end]<|im_end|>]]"
    )
    assert predicted(made, render(made, user("q"), said("Hello"))) == "Hello[end]<|im_end|>"
    (warning,) = made.facts.warnings
    assert "'[end]', which is not a token" in warning and "add it to the tokenizer" in warning
    assert made.stop_tokens == (made.tokenizer.eos_token_id,)
    assert made.decode(row.response_tokens[-11:]) == "Again"


def test_what_only_looks_like_an_end_marker_is_not_one() -> None:
    titled = "{% for m in messages %}{{ '### ' + m.role + '\n' + m.content + '\n' }}{% endfor %}"
    made = renderer(titled + "{{ '### assistant\n' }}")
    assert predicted(made, render(made, user("q"), said("Hello"))) == "Hello<|im_end|>"


@pytest.mark.parametrize("template", [CHATML, TEXT_END.replace("[end]", "")])
@pytest.mark.parametrize("answer", ["word0<|im_end|>", "word0<|im_end|>\n", "word0"])
def test_an_end_marker_in_the_row_is_not_doubled(template: str, answer: str) -> None:
    made = renderer(template)
    assert predicted(made, render(made, user("Say word 0."), said(answer))) == "word0<|im_end|>"


def test_an_end_text_in_the_row_is_not_doubled() -> None:
    made = renderer(TEXT_END)
    assert predicted(made, render(made, user("q"), said("a[end]"))) == "a[end]<|im_end|>"


def test_the_token_that_opens_the_next_turn_ends_one_and_generation_stops_there() -> None:
    opened = "{% for m in messages %}{{ ('<|u|>' if m.role == 'user' else '<|a|>') + m.content }}{% endfor %}"
    made = renderer(opened, "<|u|>", "<|a|>")
    assert predicted(made, render(made, user("a"), said("b"), user("c"), said("d"))) == "b<|u|>d<|im_end|>"
    assert set(made.stop_tokens) == set(made.tokenizer.convert_tokens_to_ids(["<|u|>", "<|im_end|>"]))


def test_without_any_end_that_is_said() -> None:
    made = renderer("{% for m in messages %}{{ m.role + ': ' + m.content }}{% endfor %}", eos_token=None)
    assert predicted(made, render(made, user("a"), said("b"))) == " b"
    (warning,) = made.facts.warnings
    assert warning == "The template ends no response and the tokenizer has no EOS token: no end is learned."


# Thoughts


def test_a_thought_is_handed_over_as_the_template_wants_it_and_predicted() -> None:
    made = Renderer(tiny.tokenizer("qwen3"), max_tokens=999)
    written = "<think>\nAdd them.\n</think>\n\nFour"
    rows = [render(made, user("2+2?"), said(written)), render(made, user("2+2?"), said("Four", reasoning="Add them."))]
    assert rows[0] == rows[1]
    assert predicted(made, rows[0]) == written + "<|im_end|>"
    made = renderer(CHATML)
    row = render(made, user("2+2?"), said("Four", reasoning="Add them."))
    assert predicted(made, row) == written + "<|im_end|>"


FIELD = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{% if m.reasoning_content %}{{ '<|t|>' + m.reasoning_content + '<|/t|>' }}{% endif %}"
    "{{ m.content + '<|im_end|>\n' }}{% endfor %}"
)


def test_a_written_thought_goes_into_the_field_of_a_template_that_has_one() -> None:
    made = renderer(FIELD, "<|t|>", "<|/t|>")
    row = render(made, user("2+2?"), said("<think>Add them.</think>\nFour"))
    assert predicted(made, row) == "<|t|>Add them.<|/t|>Four<|im_end|>"


LAST_ONLY = FIELD.replace("if m.reasoning_content", "if m.reasoning_content and loop.last")


@pytest.mark.parametrize("thought", [{"reasoning": "Add them."}, {}])
def test_thoughts_of_earlier_turns_that_are_left_out_are_counted(thought: dict[str, str]) -> None:
    made = renderer(LAST_ONLY, "<|t|>", "<|/t|>")
    words = "Four" if thought else "<think>\nAdd them.\n</think>\n\nFour"
    row = render(made, user("2+2?"), said(words, **thought), user("Sure?"), said("Yes", reasoning="Again."))
    assert predicted(made, row) == "Four<|im_end|><|t|>Again.<|/t|>Yes<|im_end|>"
    assert row.notes == {THOUGHTS_DROPPED: 1}


CUT = (
    "{% for m in messages %}{% set c = m.content.split('</think>')[-1] if not KEEP else m.content %}"
    "{{ '<|im_start|>' + m.role + '\n' + c + '<|im_end|>\n' }}{% endfor %}"
)


def test_thoughts_that_a_template_cuts_out_of_earlier_texts_are_counted_and_the_last_is_named() -> None:
    thought = "<think>\nAdd them.\n</think>\n\nFour"
    made = renderer(CUT.replace("KEEP", "loop.last"))
    row = render(made, user("2+2?"), said(thought), user("Sure?"), said(thought))
    assert predicted(made, row) == f"\n\nFour<|im_end|>{thought}<|im_end|>"
    assert row.notes == {THOUGHTS_DROPPED: 1}
    made = renderer(CUT.replace("KEEP", "false"))
    with pytest.raises(RenderError, match=r"drops the thought \(<think>\) of assistant turn 1, which is to be learned"):
        render(made, user("2+2?"), said(thought))


def test_a_last_thought_that_a_field_template_hides_is_named() -> None:
    short_only = FIELD.replace("if m.reasoning_content", "if m.reasoning_content and loop.length == 2")
    made = renderer(short_only, "<|t|>", "<|/t|>")
    with pytest.raises(RenderError, match=r"drops the thought \(<think>\) of assistant turn 2"):
        render(made, user("a"), said("b"), user("c"), said("d", reasoning="why"))


def test_an_answer_that_only_mentions_the_mark_of_a_thought_is_no_thought() -> None:
    made = Renderer(tiny.tokenizer("qwen3"), max_tokens=999)
    with pytest.raises(RenderError, match="alters a response.*</think>"):
        render(made, user("a"), said("Close it with </think> then."))
    made = renderer(
        "{% for m in messages %}{% set c = m.content %}{% if m.reasoning_content is not string %}"
        "{% set c = c.split('</think>')[-1] %}{% elif m.reasoning_content %}{% set c = m.reasoning_content + '|' + c %}"
        "{% endif %}{{ '<|im_start|>' + m.role + '\n' + c + '<|im_end|>\n' }}{% endfor %}"
    )
    row = render(made, user("a"), said("Close it with </think> then."))
    assert predicted(made, row) == "Close it with </think> then.<|im_end|>"


# Tools

CALL = ToolCall("tide", '{"port": "Ax"}', "c1")
TOOLS = json.dumps([{"name": "tide", "description": "High tide.", "parameters": {}}])
WITH_TOOLS = (
    "{% if tools %}{{ '<|im_start|>system\n' + (tools | tojson) + '<|im_end|>\n' }}{% endif %}"
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content }}"
    "{% for call in m.tool_calls or [] %}{{ '<|c|>' + (call.function | tojson) + '<|/c|>' }}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def asked_tide(words: str = "") -> tuple[Message, ...]:
    answer = Message("tool", "12:30", name="tide", call_id="c1")
    return user("Tide?"), said(words, tool_calls=(CALL,)), answer, said("At 12:30.")


@pytest.mark.parametrize("words", ["", "Let me look."])
def test_a_tool_call_is_predicted_and_a_tools_answer_is_context(words: str) -> None:
    made = renderer(WITH_TOOLS, "<|c|>", "<|/c|>")
    row = render(made, *asked_tide(words), tools=TOOLS)
    assert predicted(made, row) == (
        words + '<|c|>{"name": "tide", "arguments": {"port": "Ax"}}<|/c|><|im_end|>At 12:30.<|im_end|>'
    )
    assert '"function": {"name": "tide"' in text(made, row)
    unlearned = (user("Tide?"), said(words, tool_calls=(CALL,), learn=False), *asked_tide()[2:])
    assert predicted(made, render(made, *unlearned, tools=TOOLS)) == "At 12:30.<|im_end|>"


def test_a_call_is_found_where_the_template_writes_a_last_turn_in_its_own_way() -> None:
    last = WITH_TOOLS.replace("+ m.content }}", "+ ('<think></think>' if loop.last else '') + m.content }}")
    made = renderer(last, "<|c|>", "<|/c|>")
    row = render(made, *asked_tide("Look."), tools=TOOLS)
    assert predicted(made, row).startswith('Look.<|c|>{"name": "tide", "arguments": {"port": "Ax"}}<|/c|><|im_end|>')
    assert predicted(made, row).endswith("<|im_end|><think></think>At 12:30.<|im_end|>")


def test_a_conversation_may_end_in_a_call() -> None:
    made = renderer(WITH_TOOLS, "<|c|>", "<|/c|>")
    assert predicted(made, render(made, *asked_tide()[:2], tools=TOOLS)).endswith("<|/c|><|im_end|>")


def test_a_tools_answer_inside_the_assistants_turn_is_not_predicted() -> None:
    made = renderer(
        "{% for m in messages %}{% if m.role == 'assistant' %}{{ '<|im_start|>assistant\n' }}"
        "{% for call in m.tool_calls or [] %}{{ '<|c|>' + (call.function | tojson) + '<|/c|>' }}"
        "{% if messages | length > 2 %}{{ '(' + messages[2].content + ')' }}{% endif %}{% endfor %}"
        "{{ m.content + '<|im_end|>\n' }}{% elif m.role == 'user' %}{{ m.content + '\n' }}{% endif %}{% endfor %}",
        "<|c|>", "<|/c|>",
    )  # fmt: skip
    row = render(made, *asked_tide("It says so."))
    assert "12:30)" in text(made, row) and "12:30)" not in predicted(made, row)
    assert predicted(made, row).endswith("<|/c|>It says so.<|im_end|>At 12:30.<|im_end|>")


@pytest.mark.parametrize(
    ("template", "tools", "words", "says"),
    [
        (CHATML, TOOLS, "", r"does not show the tools of the conversation \(such as 'tide'\)"),
        (CHATML, "", "", "does not show the tool call of assistant turn 1 \\('tide' is missing\\)"),
        (WITH_TOOLS.replace("call.function", "call.function.name"), "", "", "does not show the tool call .*'port'"),
        (WITH_TOOLS.replace("+ m.content }}", "+ (m.content if not m.tool_calls else '') }}"), "", "Let me look.",
         "shows what assistant turn 1 calls, but not the text beside it \\('Let me look.'\\)"),
        (WITH_TOOLS, "[1]", "", "its tools are not a list of objects"),
        (WITH_TOOLS, "{", "", "its tools are not JSON"),
    ],
)  # fmt: skip
def test_what_a_template_does_not_show_of_tools_is_named(template: str, tools: str, words: str, says: str) -> None:
    made = renderer(template, "<|c|>", "<|/c|>")
    with pytest.raises(RenderError, match=f"example e: .*{says}"):
        render(made, *asked_tide(words), tools=tools)


def test_arguments_are_given_as_text_to_templates_that_want_text() -> None:
    joined = WITH_TOOLS.replace("(call.function | tojson)", "call.function.name + call.function.arguments")
    made = renderer(joined, "<|c|>", "<|/c|>")
    assert predicted(made, render(made, *asked_tide())).startswith('<|c|>tide{"port": "Ax"}<|/c|><|im_end|>')


def test_a_template_that_needs_tools_says_so() -> None:
    made = renderer("{% for t in tools %}{{ t.function.name }}{% endfor %}" + CHATML)
    with pytest.raises(RenderError, match="needs tools, and this conversation names none.*model.template"):
        render(made, user("a"), said("b"))


# Which template


def test_one_of_several_templates_is_chosen_by_name() -> None:
    named = {"short": CHATML, "long": CHATML.replace("im_start|>'", "im_start|>:'")}
    with pytest.raises(ModelError, match="none is the default: short, long. Choose one: set model.template=short"):
        renderer(named)
    made = renderer(named, choice="long")
    assert text(made, render(made, user("a"), said("b"))).startswith("<|im_start|>:user")
    assert made.facts.template == "the tokenizer's own 'long'"
    made = renderer({"default": CHATML, "tool_use": WITH_TOOLS}, "<|c|>", "<|/c|>")
    assert made.facts.template == "the tokenizer's own 'default'"
    assert "<|c|>" in predicted(made, render(made, *asked_tide(), tools=TOOLS))


def test_a_template_is_chosen_by_a_setting_and_said(tmp_path: Path) -> None:
    own = renderer(CHATML)
    assert (own.facts.template, own.facts.warnings) == ("the tokenizer's own", ())
    assert renderer(None).facts.template == "plain" and "no chat template" in renderer(None).facts.warnings[0]
    plain = renderer(CHATML, choice="plain")
    assert (plain.facts.template, plain.facts.warnings) == ("plain", ())
    assert plain.facts.fingerprint == renderer(None).facts.fingerprint != own.facts.fingerprint
    assert text(plain, render(plain, user("a"), said("b"))) == "### Instruction:\na\n\n### Response:\n[[b<|im_end|>]]"
    alpaca = renderer(None, choice="alpaca")
    asked = (system("Sum up."), user("a"), said("b"), user("c"), said("d"))
    assert text(alpaca, render(alpaca, *asked)) == (
        "Sum up.\n\n### Instruction:\na\n\n### Response:\n[[b<|im_end|>]]\n\n### Instruction:\nc\n\n"
        "### Response:\n[[d<|im_end|>]]"
    )
    assert text(alpaca, render(alpaca, *asked[1:3])).startswith("Below is an instruction")
    chatml = renderer(None, choice="chatml")
    assert text(chatml, render(chatml, *asked[:3])) == text(own, render(own, *asked[:3]))
    file = tmp_path / "mine.jinja"
    file.write_text("{% for m in messages %}{{ m.role + '=' + m.content + eos_token }}{% endfor %}")
    mine = renderer(CHATML, choice=str(file))
    assert text(mine, render(mine, user("a"), said("b"))) == "user=a<|im_end|>assistant=[[b<|im_end|>]]"
    assert mine.facts.template == str(file)
    with pytest.raises(SettingsError, match="is 'none.jinja', which is not a readable file.*plain, chatml, alpaca"):
        renderer(CHATML, choice="none.jinja")
    with pytest.raises(SettingsError, match=r"one of the tokenizer's own \(short\)"):
        renderer({"short": CHATML}, choice="long")


@pytest.mark.parametrize("choice", ["plain", "alpaca"])
def test_built_in_templates_refuse_what_they_have_no_place_for(choice: str) -> None:
    made = renderer(None, choice=choice)
    with pytest.raises(RenderError, match=r"refuses its turns \(.*\): it has no place for tool turns\. Change"):
        render(made, *asked_tide("Let me look."))


def test_templates_of_parts_are_given_parts() -> None:
    made = renderer(
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
        "{% for part in m.content %}{{ part.text }}{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
    )
    assert predicted(made, render(made, user("a"), said("b c"))) == "b c<|im_end|>"


# Everything a template may raise


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ raise_exception('No more.') }}", r"refuses its turns \(user, assistant\): No more\. Change"),
        ("{{ 1 // (messages | length - 2) }}", "refuses its turns .*: integer division or modulo by zero. Change"),
        ("{% for i in range(200000) %}{% endfor %}", "refuses its turns .*Range too big"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "refuses its turns .*recursion depth"),
        ("{{ 'a' + eos_token }}", "prints eos_token, but the tokenizer has none. Give the tokenizer such a token"),
        ("{% if %}", "is not valid Jinja .*, line 1.*model.template"),
    ],
)  # fmt: skip
def test_whatever_a_template_raises_is_an_error_with_the_rows_place(template: str, says: str) -> None:
    made = renderer(template + "{% for m in messages %}{{ m.content }}{% endfor %}", eos_token=None)
    with pytest.raises(RenderError, match=f"example e: the chat template {says}"):
        render(made, user("a"), said("b"))


def test_ten_thousand_turns_are_rendered() -> None:
    made = renderer(CHATML)
    row = render(made, *[user("a"), said("b")] * 5000)
    few = render(made, *[user("a"), said("b")] * 5)
    assert row.n_targets == 10000 and row.tokens[: len(few.tokens)] == few.tokens
    assert row.response[: len(few.tokens)] == few.response


def test_a_refused_long_conversation_is_told_in_short() -> None:
    made = renderer("{{ raise_exception('no') }}")
    with pytest.raises(RenderError, match=r"refuses its turns \((user, assistant, ){4}\.\.\. 60 in all\): no"):
        render(made, *[user("a"), said("b")] * 30)


def test_a_template_that_does_not_end_is_stopped_in_any_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "SECONDS", 0.2)
    made = renderer("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}")
    example, found = Example(id="e", messages=(user("a"), said("b"))), []
    worker = threading.Thread(target=lambda: found.append(made.render_many([example])[0]))
    worker.start()
    found.append(made.render_many([example])[0])
    worker.join()
    assert all("did not end within 0.2 seconds" in each.reason for each in found) and len(found) == 2


def test_a_time_limit_raises_inside_only() -> None:
    with pytest.raises(OutOfTime), time_limit(0.05):
        while True:
            pass
    with time_limit(0.05):
        done = sum(range(1000))
    threading.Event().wait(0.1)
    assert done == 499500


def test_code_under_a_tracer_goes_on_after_a_time_limit() -> None:
    script = (
        "import sys\nfrom coresift.models.time_limit import OutOfTime, time_limit\n"
        "with time_limit(9): pass\n"
        "try:\n  with time_limit(0.05):\n    while True: pass\nexcept OutOfTime: pass\n"
        "sys.settrace(lambda *given: None)\n"
        "def work(): return sum(n for n in range(99))\n"
        "print(work())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout == "4851\n"


# Pools


def pool_with_faults() -> Pool:
    rows = [Example(id=f"e{at}", messages=(user("q"), said("bad" if at % 2 else "fine"))) for at in range(12)]
    return Pool(rows, origin="pool.jsonl")


FUSSY = "{% if 'bad' in messages[-1].content %}{{ raise_exception('no ' + messages[-1].content) }}{% endif %}" + CHATML


def test_rows_that_cannot_be_rendered_are_left_out_and_told() -> None:
    rendered = render_pool(pool_with_faults(), renderer(FUSSY), skip_bad_rows=True)
    assert rendered.fits == (0, 2, 4, 6, 8, 10) and rendered.excluded == ()
    assert list(rendered.faults) == [1, 3, 5, 7, 9, 11] and "no bad" in rendered.faults[1].reason


def test_without_leave_to_skip_all_of_them_are_counted_and_five_named_by_place() -> None:
    with pytest.raises(RenderError) as caught:
        render_pool(pool_with_faults(), renderer(FUSSY))
    told = str(caught.value).splitlines()
    assert told[0] == "6 of 12 examples cannot be rendered:"
    assert [line.split(":")[0] for line in told[1:6]] == [f"pool.jsonl, example {at}" for at in (2, 4, 6, 8, 10)]
    assert told[6] == "... and 1 more" and "--skip-bad-rows" in told[7]


def test_notes_of_all_rows_are_counted() -> None:
    turns = (system("s"), user("a"), said("b"))
    pool = Pool([Example(id=name, messages=turns) for name in "xyz"])
    assert render_pool(pool, renderer(HELD_BACK)).notes == {SYSTEM_MOVED: 3}
