"""A tokenizer's chat template: which one is used; conversations in, text out; what goes wrong in it has one name."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2.exceptions import TemplateSyntaxError

from coresift.errors import ModelError, SettingsError
from coresift.models.time_limit import OutOfTime, time_limit

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Turn = Mapping[str, Any]
"""A message as templates take it: role, content and, where there are any, reasoning_content, tool_calls, name."""
Tools = Sequence[Mapping[str, Any]]

PLAIN = (
    "{% if bos_token %}{{ bos_token }}{% endif %}"
    "{% for message in messages %}"
    "{% if message.role == 'system' %}{{ '### System:\\n' + message.content + '\\n\\n' }}"
    "{% elif message.role == 'user' %}{{ '### Instruction:\\n' + message.content + '\\n\\n' }}"
    "{% elif message.role == 'assistant' %}{{ '### Response:\\n' + message.content + (eos_token or '') }}"
    "{% if not loop.last %}{{ '\\n\\n' }}{% endif %}"
    "{% else %}{{ raise_exception('it has no place for ' + message.role + ' turns') }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '### Response:\\n' }}{% endif %}"
)
"""The chat template used when the tokenizer has none: titled sections, BOS first, EOS after every response."""

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""Turns between `<|im_start|>` and `<|im_end|>`; best on a tokenizer that knows both as tokens."""

ALPACA = (
    "{% if bos_token %}{{ bos_token }}{% endif %}"
    "{% if messages and messages[0].role == 'system' %}{{ messages[0].content + '\\n\\n' }}"
    "{% else %}{{ 'Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request.\\n\\n' }}{% endif %}"
    "{% for message in messages %}"
    "{% if message.role == 'user' %}{{ '### Instruction:\\n' + message.content + '\\n\\n' }}"
    "{% elif message.role == 'assistant' %}{{ '### Response:\\n' + message.content + (eos_token or '') }}"
    "{% if not loop.last %}{{ '\\n\\n' }}{% endif %}"
    "{% elif message.role != 'system' or not loop.first %}"
    "{{ raise_exception('it has no place for ' + message.role + ' turns') }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '### Response:\\n' }}{% endif %}"
)
"""The prompt format of Alpaca; a system text takes the place of its first sentences."""

BUILT_IN = {"plain": PLAIN, "chatml": CHATML, "alpaca": ALPACA}

DATE = "26 Jul 2024"
"""The date given to templates that show one: tokens must not change from day to day."""

_DATE_PARTS = {
    "%Y": "2024", "%y": "24", "%m": "07", "%d": "26", "%-d": "26", "%e": "26", "%b": "Jul", "%B": "July",
    "%a": "Fri", "%A": "Friday", "%j": "208", "%H": "00", "%I": "12", "%p": "AM", "%M": "00", "%S": "00",
}  # fmt: skip
_FIXED_CLOCK = (
    "{% macro strftime_now(format) %}{% set clock = namespace(text=format) %}"
    "{% for part, value in " + repr(_DATE_PARTS) + ".items() %}"
    "{% set clock.text = clock.text.replace(part, value) %}{% endfor %}"
    "{{ clock.text }}{% endmacro %}\n"
)
"""Put before a template, it hides transformers' own `strftime_now`: a callable cannot be passed to a template."""

SECONDS = 20.0
"""How long one conversation may take a template; real ones take less than a millisecond per turn."""


class TemplateMismatch(Exception):
    """A template refuses a conversation or does not show it unchanged; the message says what to do."""


class ChatTemplate:
    """The chat template of a tokenizer.

    Args:
        tokenizer: A Hugging Face tokenizer.
        choice: "plain", "chatml" or "alpaca", a Jinja file, or the name of one of several templates of the tokenizer;
            None is the tokenizer's own, or `PLAIN` when it has none.

    Attributes:
        name: Which template this is, in words.
        text: The template itself.
        text_with_tools: That of conversations with tools.
        given: Whether it was chosen by name or is the tokenizer's own, not a makeshift.

    Raises:
        SettingsError: If there is no such template.
        ModelError: If the tokenizer has several templates, none is the default, and none was chosen.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", choice: str | None = None) -> None:
        self._tokenizer = tokenizer
        self.given = choice is not None or tokenizer.chat_template is not None
        self.name, texts = _chosen(tokenizer, choice)
        self.text, self.text_with_tools = texts

    def show(self, turns: Sequence[Turn], *, tools: Tools = (), prompt: bool = False) -> str:
        """The text of a conversation.

        Args:
            turns: The conversation, at least one turn.
            tools: The tools that may be called.
            prompt: Whether the text goes on to where the assistant shall begin.

        Raises:
            TemplateMismatch: If the template fails on it, for whatever reason.
        """
        try:
            with time_limit(SECONDS):
                return str(self._apply([turns], tools, prompt)[0])
        except Exception as error:  # a template is foreign code and raises what it likes
            raise TemplateMismatch(self._reason(error, turns, tools, prompt)) from error

    def show_many(self, conversations: Sequence[Sequence[Turn]]) -> list[str | TemplateMismatch]:
        """The texts of conversations without tools, at once; where one fails, what `show` raises for it."""
        try:
            with time_limit(SECONDS):
                return list(map(str, self._apply(conversations, (), False)))
        except Exception:  # noqa: BLE001 as in `show`; one by one they tell which
            return [self._shown_or_not(turns) for turns in conversations]

    def _shown_or_not(self, turns: Sequence[Turn]) -> str | TemplateMismatch:
        try:
            return self.show(turns)
        except TemplateMismatch as error:
            return error

    def _apply(self, conversations: Sequence[Sequence[Turn]], tools: Tools, prompt: bool) -> list[str]:
        if len(conversations) == 0:
            return []
        shown: Any = self._tokenizer.apply_chat_template(
            [list(map(dict, turns)) for turns in conversations],
            tools=[dict(tool) for tool in tools] or None,
            chat_template=_with_fixed_clock(self.text_with_tools if tools else self.text),
            add_generation_prompt=prompt,
            tokenize=False,
            date_string=DATE,
        )
        return list(shown)

    def _reason(self, error: Exception, turns: Sequence[Turn], tools: Tools, prompt: bool) -> str:
        what = str(error).strip().rstrip(".") or type(error).__name__
        if isinstance(error, OutOfTime):
            return f"the chat template did not end within {SECONDS:g} seconds. Use another one: set model.template."
        if isinstance(error, TemplateSyntaxError):
            return f"the chat template is not valid Jinja ({what}, line {error.lineno}). Set model.template to another."
        missing = re.search(r"'(\w+)_token' is undefined", what)
        if missing:
            return (
                f"the chat template prints {missing[1]}_token, but the tokenizer has none. Give the tokenizer such a "
                "token or choose another template with model.template."
            )
        if len(tools) == 0 and self._works_with_tools(turns, prompt):
            return (
                f"the chat template needs tools, and this conversation names none ({what}). Choose another template "
                "with model.template, or give every row its tools."
            )
        roles = [str(turn["role"]) for turn in turns]
        shown = ", ".join(roles[:8]) + (f", ... {len(roles)} in all" if len(roles) > 8 else "")
        return (
            f"the chat template refuses its turns ({shown}): {what}. "
            "Change or remove the turns it does not accept, or use a tokenizer whose template accepts them."
        )

    def _works_with_tools(self, turns: Sequence[Turn], prompt: bool) -> bool:
        any_tool = {"type": "function", "function": {"name": "f", "description": "", "parameters": {}}}
        try:
            with time_limit(SECONDS):
                self._apply([turns], [any_tool], prompt)
        except Exception:  # noqa: BLE001 as in `show`
            return False
        return True


def _chosen(tokenizer: "PreTrainedTokenizerBase", choice: str | None) -> tuple[str, tuple[str, str]]:
    """The name of the template, and its text without and with tools."""
    own = tokenizer.chat_template
    named: dict[str, str] = dict(own) if isinstance(own, Mapping) else {}
    if choice in BUILT_IN:
        return str(choice), (BUILT_IN[str(choice)],) * 2
    if choice in named:
        return f"the tokenizer's own {choice!r}", (named[str(choice)],) * 2
    if choice is not None:
        return choice, (_read(Path(choice), list(named)),) * 2
    if own is None:
        return "plain", (PLAIN, PLAIN)
    if not named:
        return "the tokenizer's own", (str(own), str(own))
    if "default" not in named:
        raise ModelError(
            f"{tokenizer.name_or_path or 'tokenizer'}: it has several chat templates and none is the default: "
            f"{', '.join(named)}. Choose one: set model.template={next(iter(named))}."
        )
    return "the tokenizer's own 'default'", (named["default"], named.get("tool_use", named["default"]))


def _read(file: Path, named: Sequence[str]) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        own = f", one of the tokenizer's own ({', '.join(named)})" if named else ""
        raise SettingsError(
            f"model.template is {str(file)!r}, which is not a readable file ({error}). It must be "
            f"{', '.join(BUILT_IN)}{own} or a file with a Jinja template."
        ) from error


def _with_fixed_clock(template: str) -> str:
    return _FIXED_CLOCK + template if "strftime_now" in template else template
