"""What differs between two nested sets of facts, line by line: said whenever an artefact is refused."""

from collections.abc import Mapping
from typing import Any


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted keys; an empty mapping is a value.

    >>> flat({"a": {"b": 1, "c": {}}})
    {'a.b': 1, 'a.c': {}}
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and len(value) > 0:
            found.update(flat(value, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = value
    return found


def both_sides(found: Mapping[str, Any], wanted: Mapping[str, Any], *, holder: str) -> str:
    """One line for every key that differs, with both values; empty when nothing does.

    Args:
        found: What is there.
        wanted: What this run needs.
        holder: Who has what was found, for example "the folder".
    """
    there, here = flat(found), flat(wanted)
    return "\n".join(
        f"  {key}: {holder} has {there.get(key)!r}, this run needs {here.get(key)!r}"
        for key in sorted({*there, *here})
        if there.get(key) != here.get(key)
    )
