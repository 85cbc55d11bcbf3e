"""How things show themselves in a notebook: a small table of facts, with all text escaped."""

from collections.abc import Mapping
from html import escape
from typing import Any


def facts_table(title: str, facts: Mapping[str, Any]) -> str:
    """HTML of a heading and a table of two columns; facts that are None are left out."""
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(str(key))}</th>'
        f'<td style="text-align:left">{escape(str(value))}</td></tr>'
        for key, value in facts.items()
        if value is not None
    )
    return f"<div><b>{escape(title)}</b><table>{rows}</table></div>"
