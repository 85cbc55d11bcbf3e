"""The look of the figures: two palettes that match the page, safe for colour-blind readers, and the axes' dress."""

import functools
import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS_PER_INCH = 200
WIDTH = 4.7
"""Inches of every figure: on a narrow screen its letters are still nine pixels high."""
FIRST = "DejaVu Sans"
"""The font that comes with matplotlib: Latin, Greek, Cyrillic, Hebrew, Arabic and more."""
FURTHER = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Source Han Sans SC", "Noto Sans SC"),
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "IPAGothic", "NanumGothic", "UnBatang"),
    *("PingFang SC", "Hiragino Sans", "Hiragino Sans GB", "Heiti SC", "Apple SD Gothic Neo", "Arial Unicode MS"),
    *("Microsoft YaHei", "SimHei", "Yu Gothic", "MS Gothic", "Malgun Gothic", "Nirmala UI", "Leelawadee UI"),
    *("Noto Sans Devanagari", "Noto Sans Bengali", "Noto Sans Tamil", "Noto Sans Telugu", "Noto Sans Thai", "Loma"),
    *("Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Ethiopic", "Noto Sans Symbols2", "FreeSans", "Unifont"),
)
"""Fonts of other scripts, as the usual systems call them."""


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of one figure. Blue and orange differ in lightness too, and each has its own marker."""

    name: str
    paper: str
    ink: str
    muted: str
    grid: str
    pool: str
    chosen: str
    weight: str
    third: str


LIGHT = Theme("light", "#ffffff", "#1c2430", "#5b6675", "#e6e9ee", "#b4bcc8", "#1f6fb4", "#d9660a", "#5a4fa2")
DARK = Theme("dark", "#181c22", "#e4e8ee", "#9aa5b4", "#2b313a", "#596473", "#62b0ee", "#f2a24b", "#b3a6f5")


def new_figure(
    theme: Theme, width: float, height: float, *, rows: int = 1, columns: int = 1
) -> tuple["Figure", list["Axes"]]:
    """A figure of its own (no global state), inches, with dressed axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained", facecolor=theme.paper)
    axes = [figure.add_subplot(rows, columns, place + 1) for place in range(rows * columns)]
    for axis in axes:
        dress(axis, theme)
    return figure, axes


def dress(axis: "Axes", theme: Theme) -> None:
    """Quiet axes: no box, a light grid behind, small labels."""
    axis.set_facecolor(theme.paper)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axis.spines[side].set_color(theme.grid)
    axis.grid(True, color=theme.grid, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(which="both", colors=theme.muted, labelsize=9, length=0)
    for label in (axis.xaxis.label, axis.yaxis.label):
        label.set_color(theme.muted)
        label.set_fontsize(9)


def legend(axis: "Axes", theme: Theme, **places: Any) -> None:
    """A frameless legend."""
    axis.legend(frameon=False, fontsize=8.5, labelcolor=theme.ink, handlelength=1.4, **places)


def thousands(axis: "Axes", which: str) -> None:
    """Tick labels like 12,000 instead of an offset."""
    from matplotlib.ticker import FuncFormatter

    getattr(axis, f"{which}axis").set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))


def plain(text: str, *, longest: int = 26) -> str:
    """A pool's own name made drawable: one line, no control characters or lone surrogates, cut when long."""
    kept = "".join(mark if mark.isprintable() else " " for mark in text.encode("utf-8", "replace").decode("utf-8"))
    line = " ".join(kept.split()) or "(blank)"
    return line if len(line) <= longest else line[: longest - 1] + "…"


@functools.cache
def families() -> tuple[str, ...]:
    """The first font, and those installed here that have what it lacks: the first that has a character draws it."""
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return (FIRST, *(name for name in FURTHER if name in installed))


def png(figure: "Figure") -> bytes:
    """The figure as PNG bytes, without a date or a version in it; scripts that no font here knows are boxes."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    for text in figure.findobj(Text):
        text.set_fontfamily(list(families()))
    with warnings.catch_warnings(), rc_context({"font.family": list(families())}):
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(buffer, format="png", facecolor=figure.get_facecolor(), metadata={"Software": None})
    return buffer.getvalue()
