"""Tools that may be called, and calls of them: the shapes in which rows have them, brought into one."""

import json
from collections.abc import Mapping
from typing import Any

from coresift.data.pool import ToolCall
from coresift.data.records import RowFault, kind_of, unbroken


def tools_of(value: Any, where: str) -> str:
    """The tools that a row offers, as the JSON text of a list of {type: function, function: {...}}; "" for none.

    Args:
        value: A list of tools, bare functions {name, description, parameters} or wrapped ones, or its JSON text.
        where: The column, as a fault calls it.

    Raises:
        RowFault: If it is no such list.
    """
    tools = parsed(value, where) if isinstance(value, str) else value
    if not isinstance(tools, list | tuple) or not all(isinstance(tool, Mapping) for tool in tools):
        wrong = f"{where} is {kind_of(tools)}; it must be a list of tools, each an object"
        raise RowFault(f"{wrong} (--map tools= reads without them)")
    return "" if len(tools) == 0 else _json([_wrapped(without_nulls(tool)) for tool in tools])


def calls_of(value: Any, where: str) -> tuple[ToolCall, ...]:
    """The calls in `tool_calls`, in `function_call`, or in the text of a turn that is a call.

    Args:
        value: A call {name, arguments}, bare or as {id, type, function: {...}}, a list of such, or its JSON text.
        where: The field, as a fault calls it.

    Raises:
        RowFault: If one of them has no name, or arguments that are no object.
    """
    calls = parsed(value, where) if isinstance(value, str) else value
    return tuple(_call(call, where) for call in (calls if isinstance(calls, list | tuple) else [calls]))


def parsed(text: str, where: str) -> Any:
    """The value that JSON text stands for. Raises RowFault."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RowFault(f"{where} is text, but not JSON ({error}); json.dumps writes it") from None


def without_nulls(value: Any) -> Any:
    """The value without keys that hold null: an Arrow table has every key of any row in all of them."""
    if isinstance(value, Mapping):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list | tuple) else value


def _wrapped(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    bare = "name" in tool and not isinstance(tool.get("function"), Mapping)
    return {"type": "function", "function": tool} if bare else tool


def _call(call: Any, where: str) -> ToolCall:
    function = call.get("function", call) if isinstance(call, Mapping) else call
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(name, str) or name == "":
        raise RowFault(f"{where} holds {kind_of(call)} that is no call of a tool; it must have a name and arguments")
    arguments = _arguments(function.get("arguments", function.get("parameters")), f"{where} ({name})")
    id = call.get("id") if isinstance(call.get("id"), str) else ""
    return ToolCall(unbroken(name, where), arguments, unbroken(id, where))


def _arguments(value: Any, where: str) -> str:
    if value is None or value == "":
        return "{}"
    given = parsed(value, f"arguments of {where}") if isinstance(value, str) else value
    if not isinstance(given, Mapping):
        raise RowFault(f"the arguments of {where} are {kind_of(given)}; they must be an object")
    return unbroken(value, where) if isinstance(value, str) else _json(without_nulls(given))


def _json(value: Any) -> str:
    try:
        return unbroken(json.dumps(value, ensure_ascii=False), "a tool")
    except TypeError as error:
        raise RowFault(f"a tool holds what JSON cannot ({error})") from None
