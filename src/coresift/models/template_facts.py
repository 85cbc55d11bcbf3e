"""What to know about a tokenizer's template before training with it: which one it is, and where serving will differ."""

import os
from dataclasses import dataclass

from coresift import fingerprints
from coresift.data.pool import Example, Message
from coresift.models.layout import SYSTEM_MOVED, Layout, Layouts
from coresift.models.template import TemplateMismatch
from coresift.models.wording import Wording

_ASKED, _SAID = Message("user", "What is it?"), Message("assistant", "It is this.")
_ROUNDS = (_ASKED, _SAID, _ASKED, _SAID)
PROBES = ((_ASKED, _SAID), _ROUNDS, (Message("system", "Be brief."), *_ROUNDS))
"""Conversations in which training is compared with what a server asks."""


@dataclass(frozen=True, slots=True)
class TemplateFacts:
    """A template in words.

    Attributes:
        template: Which one is used.
        warnings: What to know about it, a sentence or two each.
        fingerprint: Of its text.
    """

    template: str
    warnings: tuple[str, ...]
    fingerprint: str


def template_facts(wording: Wording, layouts: Layouts, has_eos: bool) -> TemplateFacts:
    """The facts of a template.

    Args:
        wording: How it is spoken to.
        layouts: Lays conversations out in it.
        has_eos: Whether the tokenizer has an EOS token.
    """
    found = (_makeshift(wording), _other_context(wording, layouts), _no_stop(wording, layouts, has_eos))
    template = wording.template
    warnings = tuple(warning for warning in found if warning)
    return TemplateFacts(template.name, warnings, fingerprints.of_json([template.text, template.text_with_tools]))


def _makeshift(wording: Wording) -> str:
    if wording.template.given:
        return ""
    return (
        "The tokenizer has no chat template: conversations are written in titled sections (plain). "
        "Another form is set by model.template."
    )


def _other_context(wording: Wording, layouts: Layouts) -> str:
    """The first place where training shows something else before a response than the generation prompt does."""
    for messages, layout in zip(PROBES, layouts.of([Example(id="", messages=probe) for probe in PROBES]), strict=True):
        if isinstance(layout, TemplateMismatch):
            continue
        answers = [turn for turn, message in enumerate(messages) if message.role == "assistant"]
        for turn in answers:
            try:
                prompt = wording.show(messages[:turn], prompt=True)
            except TemplateMismatch:
                continue
            if not layout.text.startswith(prompt):
                return _differing(layout, prompt, answers.index(turn), len(answers))
    return ""


def _differing(layout: Layout, prompt: str, answer: int, answers: int) -> str:
    context = layout.text[: layout.regions[answer].begin]
    same = len(os.path.commonprefix([context, prompt]))
    where = "" if answers == 1 else f" in a conversation of {answers} answers, before answer {answer + 1},"
    advice = (
        "It shows a system text beside the last user turn alone: earlier answers are learned without it."
        if SYSTEM_MOVED in layout.notes
        else "Serve with the template's switch for it, such as enable_thinking=False, if it has one."
    )
    return (
        f"What stands before a response in training is not what the template's generation prompt gives:{where} "
        f"{_excerpt(context, same)} in training, {_excerpt(prompt, same)} in the prompt. {advice}"
    )


def _excerpt(text: str, place: int) -> str:
    return repr(text[max(place - 16, 0) : place + 24])


def _no_stop(wording: Wording, layouts: Layouts, has_eos: bool) -> str:
    layout = layouts.of([Example(id="", messages=PROBES[0])])[0]
    if isinstance(layout, TemplateMismatch) or not layout.open_end:
        return ""
    if wording.end_text:
        then = "EOS follows it after the last one" if has_eos else "the tokenizer has no EOS token to follow it"
        return (
            f"The template ends a response with the text {wording.end_text!r}, which is not a token of the tokenizer: "
            f"it is learned as text, and {then}. Better add it to the tokenizer as a special token."
        )
    return "" if has_eos else "The template ends no response and the tokenizer has no EOS token: no end is learned."


