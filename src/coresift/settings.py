"""Frozen, checked settings: an unknown key or a value out of range is an error in words, never a guess."""

import difflib
import os.path
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic._internal._model_construction import ModelMetaclass

from coresift.errors import SettingsError

PathText = Annotated[str, AfterValidator(os.path.expanduser)]
"""A path as people write it: `~` is their home. Names that are no paths stay as they are."""
SHOWN = 5
"""Faults that are listed."""


class _InWords(ModelMetaclass):
    """Calls such as `Brief(dim=0)` raise our own error; what is validated inside another model stays pydantic's."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except ValidationError as error:
            model = cast("type[BaseModel]", cls)
            raise SettingsError(in_words(error, model, f"{cls.__name__}.", add="Pass {name}=VALUE.")) from None


class Settings(BaseModel, metaclass=_InWords):
    """Base of everything a user sets: immutable, no unknown keys, equal when all values are equal.

    Raises:
        SettingsError: If a value is unknown, missing or out of range. `model_validate` raises pydantic's own error.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def in_words(
    error: ValidationError,
    model: type[BaseModel],
    prefix: str = "",
    *,
    owner: str = "",
    add: str = "Add it to the recipe or pass --set {place}=VALUE.",
) -> str:
    """The first faults of a validation, one per line, and where to look every setting up.

    Args:
        error: What pydantic found.
        model: The settings that were checked, for names that exist.
        prefix: Where they stand, for example "method.".
        owner: Whose settings they are, when they depend on a choice.
        add: What to do about a missing setting, with its {place} or {name}.
    """
    lines = [_line(fault, model, prefix, owner, add) for fault in error.errors()[:SHOWN]]
    return "\n".join(lines) + "\nRun `coresift schema` for every setting and its rule."


def _line(fault: Any, model: type[BaseModel], prefix: str, owner: str, add: str) -> str:
    name = ".".join(str(part) for part in fault["loc"])
    place = (prefix + name).rstrip(".")
    if fault["type"] == "extra_forbidden":
        whose = f"{owner} has no such setting" if owner else "no such setting"
        return f"{place}: {whose}.{_nearest(fault['loc'], model)}"
    if fault["type"] == "missing":
        return f"{place}: missing. {add.format(place=place, name=name)}"
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
