"""YAML as recipes are written: text keys, none of them twice, and aliases that unfold to something of a sane size."""

from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

from coresift.errors import SettingsError

DEEPEST = 40
"""Levels of nesting; settings have five."""
MOST_VALUES = 100_000
"""Values once all aliases are unfolded."""
TEXT, MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"


def read_yaml(text: str) -> Any:
    """The plain values of one YAML document.

    Raises:
        SettingsError: If it is not YAML, a key comes twice or is not text, an anchor holds itself, or aliases unfold to
            more than `MOST_VALUES` values. The line is named.
    """
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _count(node, [], {})
        return loader.construct_document(node)
    except RecursionError:
        raise SettingsError(f"nested more than {DEEPEST} levels deep. Settings have five.") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"not readable as YAML ({error})") from None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:  # 2024-13-45, !!int "x"
        raise SettingsError(f"not readable as YAML (a value is not what it looks like: {error})") from None


def _count(node: Node, above: list[Node], known: dict[int, int]) -> int:
    """How many values a node unfolds to, each node looked at once; refuses what cannot be settings."""
    if id(node) in known:
        return known[id(node)]
    if any(node is outer for outer in above):
        raise SettingsError(f"line {_line(node)}: an anchor that holds itself has no end. Write the value out.")
    if len(above) > DEEPEST:
        raise SettingsError(f"line {_line(node)}: nested more than {DEEPEST} levels deep. Settings have five.")
    if isinstance(node, MappingNode):
        _check_keys(node)
    inner = [] if isinstance(node, ScalarNode) else node.value
    flat = [part for each in inner for part in (each if isinstance(each, tuple) else (each,))]
    total = 1 + sum(_count(each, [*above, node], known) for each in flat)
    if total > MOST_VALUES:
        raise SettingsError(f"line {_line(node)}: its aliases unfold to more than {MOST_VALUES:,} values. Use fewer.")
    known[id(node)] = total
    return total


def _check_keys(node: MappingNode) -> None:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        if key.tag not in (TEXT, MERGE):
            raise SettingsError(f"line {_line(key)}: the key {_said(key)} is not text. Put it in quotes.")
        if key.value in lines:
            raise SettingsError(
                f"line {_line(key)}: the key {key.value!r} stands in line {lines[key.value]} already. Keep one of them."
            )
        lines[key.value] = _line(key)


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _said(key: Node) -> str:
    return repr(key.value) if isinstance(key, ScalarNode) else "that holds other values"
