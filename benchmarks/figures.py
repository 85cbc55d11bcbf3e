"""Figures of the docs that a benchmark has kept: `benchmarks/figures.py` checks them, `--write` mends them.

Behind such a figure stands where it is from, invisible on the page:

    0.10<!-- figure: start.json#an unknown setting#ratio -->

is the column `ratio` of the row `an unknown setting` of benchmarks/figures/start.json; `#2#ROW#COLUMN` names the second
table, where two have such a row. A file says the same to as many digits as the figure shows; before `%` it is a share.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "benchmarks" / "figures"
MARKED = re.compile(
    r"(?P<shown>[\d,]*\d(?:\.\d+)?)?<!-- figure: (?P<file>[^#>]+)#(?P<place>[^>]+?) -->(?P<percent> ?%)?"
)


def pages() -> list[Path]:
    """Every page that may show a figure."""
    others = ("README.md", "CHANGELOG.md", "benchmarks/README.md")
    return [*sorted(ROOT.glob("docs/**/*.md")), *(ROOT / name for name in others)]


def mended(text: str, folder: Path = FIGURES) -> tuple[str, list[str]]:
    """The text with every marked figure as its file has it, and what was wrong, one line each."""
    faults: list[str] = []

    def put(match: re.Match[str]) -> str:
        shown = match["shown"]
        if shown is None:
            faults.append(f"{match[0]}: no figure stands before it")
            return match[0]
        try:
            value = look_up(folder, match["file"], match["place"])
        except (OSError, ValueError, LookupError) as error:
            faults.append(f"{match[0]}: {error}")
            return match[0]
        right = as_shown(value * 100 if match["percent"] else value, shown)
        if right != shown:
            faults.append(f"{match['file']}#{match['place']}: the page says {shown}, the file {right}")
        return right + match[0].removeprefix(shown)

    return MARKED.sub(put, text), faults


def look_up(folder: Path, file: str, place: str) -> float:
    """The number at `ROW#COLUMN` or `TABLE#ROW#COLUMN`. Raises ValueError if it is not one number."""
    tables = json.loads((folder / file).read_text(encoding="utf-8"))["tables"]
    *table, row, column = place.split("#")
    if table:
        tables = tables[int(table[0]) - 1 : int(table[0])]
    found = [each for part in tables for each in part["rows"] if each["name"] == row]
    if len(found) != 1:
        raise ValueError(f"{len(found)} rows are called {row!r}")
    value = found[0].get(column)
    if not isinstance(value, int | float):
        raise ValueError(f"{column!r} of {row!r} is {value!r}, not a number")
    return value


def as_shown(value: float, shown: str) -> str:
    """The value to as many decimals as the figure shows, in thousands where it is."""
    decimals = len(shown.partition(".")[2])
    return f"{value:,.{decimals}f}" if "," in shown or value < 1000 else f"{value:.{decimals}f}"


def checked(*, write: bool = False) -> Iterator[str]:
    """What is wrong on all pages; with `write` it is mended."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        right, faults = mended(text)
        yield from (f"{page.relative_to(ROOT)}: {fault}" for fault in faults)
        if write and right != text:
            page.write_text(right, encoding="utf-8")


def main() -> int:
    """Exit code 1 if a figure is, or was, wrong."""
    faults = [*checked(write="--write" in sys.argv)]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
