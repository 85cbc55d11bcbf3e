"""Numbers as people read them: thousands, minutes, tera-FLOPs."""

import math
from numbers import Real
from typing import Any, TypeGuard

MISSING = "–"
PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z")


def is_number(value: Any) -> TypeGuard[int | float]:
    """True for a finite number, NumPy's included; None and NaN are what a run does not know."""
    return isinstance(value, Real) and math.isfinite(value)


def count(value: Any) -> str:
    """4000 -> "4,000"."""
    return f"{round(value):,}" if is_number(value) else MISSING


def number(value: Any, *, digits: int = 4) -> str:
    """About `digits` significant digits, never in scientific notation between 1e-4 and 1e9."""
    if not is_number(value):
        return MISSING
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size <= 9 and float(value).is_integer():
        return f"{value:,.0f}"
    if not -4 <= size <= 9:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{max(0, digits - 1 - size)}f}"


def prefixed(value: Any, unit: str = "") -> str:
    """3.4e12, "FLOP" -> "3.40 TFLOP"; 1.25e6 -> "1.25 M"."""
    if not is_number(value):
        return MISSING
    step = 0
    scaled = float(value)
    while abs(scaled) >= 999.5 and step < len(PREFIXES) - 1:
        scaled, step = scaled / 1000, step + 1
    decimals = 0 if step == 0 and scaled == round(scaled) else 2 - max(0, math.floor(math.log10(abs(scaled) or 1)))
    shown = f"{scaled:.{max(0, decimals)}f}"
    return f"{shown} {PREFIXES[step]}{unit}".rstrip()


def duration(seconds: Any) -> str:
    """0.42 -> "0.42 s"; 75 -> "1 min 15 s"; 3700 -> "1 h 2 min"."""
    if not is_number(seconds):
        return MISSING
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def percent(share: Any, *, digits: int = 1) -> str:
    """0.05 -> "5.0 %"."""
    return f"{100 * share:.{digits}f} %" if is_number(share) else MISSING


def percent_up(share: float, *, digits: int = 1) -> str:
    """A percentage rounded up, for claims of the form "at most"."""
    scale = 10**digits
    return f"{math.ceil(100 * share * scale - 1e-9) / scale:.{digits}f} %"


def signed(value: Any) -> str:
    """Three decimals with a true minus sign."""
    return f"{value:.3f}".replace("-", "−") if is_number(value) else MISSING


def difference(value: Any) -> str:
    """Three decimals with a plus or a true minus sign."""
    return f"{value:+.3f}".replace("-", "−") if is_number(value) else MISSING
