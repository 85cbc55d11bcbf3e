"""One HTML file that needs nothing else: what the page of a run and the page of a comparison have in common.

Text of a pool reaches a page by two roads only: Jinja's autoescape, and JSON blocks without `<`, `>` and `&`. The
page's policy forbids every resource except embedded images, and every script except the one whose hash it names.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from coresift import units
from coresift.files import write_bytes, write_text
from coresift.report import tables
from coresift.report.csv_text import csv_text
from coresift.report.scatter import shorten

HERE = Path(__file__).parent
Images = Mapping[str, tuple[bytes, bytes]]
"""Name of a figure -> its PNG for light and for dark."""
Rows = Sequence[Mapping[str, Any]]


def render(
    template: str,
    *,
    scripts: Sequence[str],
    images: Images,
    alts: Mapping[str, str],
    data: Mapping[str, Rows],
    blocks: Mapping[str, Any],
    **facts: Any,
) -> str:
    """The HTML text of a page.

    Args:
        template: File beside this one.
        scripts: Files beside this one; together they are the only script that the page runs.
        images: Its figures.
        alts: Figure -> what it shows, for those who do not see it.
        data: Figure -> its data, offered as CSV.
        blocks: Id -> plain values that scripts read; None is left out.
        facts: What the template names.
    """
    script = "\n".join((HERE / name).read_text(encoding="utf-8") for name in scripts)
    return str(
        _templates()
        .get_template(template)
        .render(
            css=Markup((HERE / "page.css").read_text(encoding="utf-8")),
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            figures={name: tuple(_data_uri("image/png", each) for each in pair) for name, pair in images.items()},
            alts=alts,
            sheets={name: _data_uri("text/csv", csv_text(rows).encode()) for name, rows in data.items() if rows},
            blocks={name: Markup(script_json(value)) for name, value in blocks.items() if value is not None},
            **facts,
        )
    )


def write(folder: Path, html: str, images: Images, data: Mapping[str, Rows]) -> Path:
    """Write `index.html`, and every figure beside it as PNG and its data as CSV; gives the path of the page."""
    for name, (light, _) in images.items():
        write_bytes(folder / f"{name}.png", light)
    for name, rows in data.items():
        if rows:
            write_text(folder / f"{name}.csv", csv_text(rows))
    page = folder / "index.html"
    # A pool may hold lone surrogates, which UTF-8 cannot; they become question marks.
    write_text(page, html.encode("utf-8", "replace").decode("utf-8"))
    return page


def script_json(value: Any) -> str:
    """JSON that is safe inside a script element: no `<`, `>`, `&` or line separator, and pure ASCII.

    `ensure_ascii` takes care of U+2028, U+2029 and lone surrogates; the three marks could end the element or open a
    comment in it.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _templates() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        count=units.count,
        number=units.number,
        prefixed=units.prefixed,
        duration=units.duration,
        percent=units.percent,
        signed=units.signed,
        difference=units.difference,
        spread_of=tables.spread_of,
        value_of=tables.value_of,
        seed_count=tables.seed_count,
        shorten=shorten,
    )
    return environment


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
