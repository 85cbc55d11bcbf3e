"""Values of Parquet and Arrow columns in the types JSON knows."""

import base64
import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np


def jsonable(value: Any) -> Any:
    """The nearest JSON value.

    Dates and times become ISO 8601 text, durations seconds, bytes base64 text, arrays and sets lists; numbers that are
    not finite become null, as JSON has no word for them; anything else, decimals for one, becomes its text.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    # Loops, not comprehensions: those would take a second frame of the stack for every level of a deep row.
    if isinstance(value, Mapping):
        plain = {}
        for key, item in value.items():
            plain[str(key)] = jsonable(item)
        return plain
    if isinstance(value, list | tuple | set | frozenset):
        items = []
        for item in value:
            items.append(jsonable(item))
        return items
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)
