"""Faults of settings in words: where, what, and the nearest name that exists."""

import difflib
from typing import Any

from pydantic import BaseModel, ValidationError

SHOWN = 5
"""Faults that are listed."""


def in_words(error: ValidationError, model: type[BaseModel], prefix: str = "", *, owner: str = "") -> str:
    """The first faults of a validation, one per line, and where to look every setting up.

    Args:
        error: What pydantic found.
        model: The settings that were checked, for names that exist.
        prefix: Where they stand in a recipe, for example "method.".
        owner: Whose settings they are, when they depend on a choice.
    """
    lines = [_line(fault, model, prefix, owner) for fault in error.errors()[:SHOWN]]
    return "\n".join(lines) + "\nRun `coresift schema` for every setting and its rule."


def _line(fault: Any, model: type[BaseModel], prefix: str, owner: str) -> str:
    place = prefix + ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        whose = f"{owner} has no such setting" if owner else "no such setting"
        return f"{place}: {whose}.{_nearest(fault['loc'], model)}"
    if fault["type"] == "missing":
        return f"{place}: missing. Add it to the recipe or pass --set {place}=VALUE."
    return f"{place}: {fault['msg']}, got {fault['input']!r}."


def _nearest(place: tuple[Any, ...], model: type[BaseModel]) -> str:
    """A suggestion among the settings of the section that the name was looked for in."""
    for part in place[:-1]:
        field = model.model_fields.get(str(part))
        inner = [kind for kind in _kinds(field.annotation) if issubclass(kind, BaseModel)] if field is not None else []
        if len(inner) == 0:
            return ""
        model = inner[0]
    known = [field.alias or name for name, field in model.model_fields.items()]
    close = difflib.get_close_matches(str(place[-1]), known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _kinds(annotation: Any) -> list[type]:
    parts = getattr(annotation, "__args__", (annotation,))
    return [part for part in parts if isinstance(part, type)]
