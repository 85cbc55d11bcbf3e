"""The `method` of a recipe: a one-shot selector or a policy, with its settings, from a mapping and back."""

import difflib
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationError, WithJsonSchema

from coresift.errors import SettingsError
from coresift.features.specs import FeatureSpec
from coresift.features.utilities import other_set
from coresift.online import POLICIES
from coresift.online.static import Static
from coresift.policy import MOST_ROUNDS
from coresift.selectors import SELECTORS
from coresift.settings import Settings, in_words

METHODS: dict[str, Any] = {**SELECTORS, **POLICIES}
"""Everything that `method.name` may be: methods that choose once, and policies that choose round by round."""


def with_target(kind: type[FeatureSpec] = FeatureSpec) -> list[str]:
    """The names of the methods that by themselves look at a target, through arrays of a kind."""
    made = {name: method() for name, method in SELECTORS.items()}
    return [
        name
        for name, method in sorted(made.items())
        if any(isinstance(spec, kind) and other_set(spec) == "target" for spec in getattr(method, "requires", ()))
    ]


def parse_method(value: Any, place: str = "method", known: dict[str, Any] = METHODS) -> Any:
    """The method of a mapping with its `name`.

    Raises:
        SettingsError: If there is no such method, or a setting is not one of its own.
    """
    if not isinstance(value, dict):
        return value
    settings = dict(value)
    name = settings.pop("name", None)
    refuse_unknown(name, known, place)
    if name == Static.name and "selector" in settings:
        settings["selector"] = parse_method(settings["selector"], f"{place}.selector", SELECTORS)
    try:
        return known[name].model_validate(settings)
    except ValidationError as error:
        raise SettingsError(in_words(error, known[name], f"{place}.", owner=name)) from None


def refuse_unknown(name: Any, known: Iterable[str], place: str = "method") -> None:
    """Raise SettingsError unless `name` is one of the known methods; the nearest of them is named."""
    names = sorted(known)
    if name not in names:
        close = difflib.get_close_matches(str(name), names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise SettingsError(f"{place}.name is {name!r}.{hint} Known methods: {', '.join(names)}.")


def dump_method(method: Any) -> dict[str, Any]:
    """The mapping that `parse_method` reads."""
    if isinstance(method, Static):
        return {"name": method.name, "selector": dump_method(method.selector), "epochs": method.epochs}
    return {"name": method.name, **method.model_dump(mode="json")}


def method_schema() -> dict[str, Any]:
    """JSON Schema of all methods."""
    selectors = [_schema(name, selector.model_json_schema()) for name, selector in SELECTORS.items()]
    policies = [
        _schema(name, _static_schema(selectors) if policy is Static else policy.model_json_schema())
        for name, policy in POLICIES.items()
    ]
    return {"anyOf": [*selectors, *policies]}


def _static_schema(selectors: list[dict[str, Any]]) -> dict[str, Any]:
    """Pydantic knows no schema of a protocol, so the selector's is put in its place."""

    class WithoutSelector(Settings):
        __doc__ = Static.__doc__
        epochs: int = Field(1, ge=1, le=MOST_ROUNDS)

    schema = WithoutSelector.model_json_schema()
    return {
        **schema,
        "title": "Static",
        "properties": {"selector": {"anyOf": selectors}, **schema["properties"]},
        "required": ["selector"],
    }


def _schema(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    schema = _inlined(schema)
    schema["properties"] = {"name": {"const": name}, **schema.get("properties", {})}
    return {**schema, "required": ["name", *schema.get("required", [])]}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema whose references to its own definitions are put in their place: it will be part of a larger one."""
    known = schema.pop("$defs", {})

    def put(value: Any) -> Any:
        if isinstance(value, list):
            return [put(each) for each in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            rest = {key: each for key, each in value.items() if key != "$ref"}
            return {**put(known[value["$ref"].removeprefix("#/$defs/")]), **put(rest)}
        return {key: put(each) for key, each in value.items()}

    return {key: put(value) for key, value in schema.items()}


Method = Annotated[Any, BeforeValidator(parse_method), PlainSerializer(dump_method), WithJsonSchema(method_schema())]
"""The type of the setting."""
