"""Which roles the columns of a row most likely play: the advice where no format fits."""

import re
from collections.abc import Mapping
from typing import Any

from coresift.data.records import kind_of
from coresift.data.turns import is_turn

_NAMES: Mapping[str, tuple[str, ...]] = {
    "prompt": ("prompt", "question", "query", "instruction", "problem", "task", "user", "human", "input", "text"),
    "response": (
        *("response", "answer", "output", "completion", "chosen", "solution", "reply", "target", "assistant"),
        *("reference", "summary", "gpt", "label", "answers"),
    ),
    "input": ("context", "input", "passage", "document"),
    "system": ("system_prompt", "system"),
}
"""What a column that plays a role is called, most telling first."""


def likely_roles(row: Mapping[str, Any]) -> dict[str, str]:
    """Role to column as its name and type suggest; empty where nothing does.

    >>> likely_roles({"Question": "2+2?", "best_answer": "4"})
    {'prompt': 'Question', 'response': 'best_answer'}
    """
    for column, value in row.items():
        if isinstance(value, list | tuple) and len(value) > 0 and all(map(is_turn, value)):
            return {"messages": column}
    texts = [column for column, value in row.items() if isinstance(value, str)]
    roles: dict[str, str] = {}
    for role, names in _NAMES.items():
        called = _called([text for text in texts if text not in roles.values()], names)
        if called is not None:
            roles[role] = called
    if "prompt" not in roles or "response" not in roles:
        return {}
    return {"instruction" if role == "prompt" and "input" in roles else role: column for role, column in roles.items()}


def as_options(roles: Mapping[str, str]) -> str:
    """The same as typed on a command line."""
    return " ".join(f"--map {role}={column}" for role, column in roles.items())


def listed(row: Mapping[str, Any], *, kinds: bool = False) -> str:
    """The columns of a row, in words."""
    return ", ".join(f"{column!r} ({kind_of(row[column])})" if kinds else repr(column) for column in row) or "(none)"


def _called(columns: list[str], names: tuple[str, ...]) -> str | None:
    """The column that has one of the names, or one of them as a word in its own."""
    for name in names:
        for column in columns:
            if column.lower() == name:
                return column
    for name in names:
        for column in columns:
            if name in re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column).lower()):
                return column
    return None
