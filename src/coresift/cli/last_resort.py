"""What nobody expected: one line that says how to report it, and a file with the traceback."""

import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path

from coresift.errors import CoresiftError

LIBRARIES = ("coresift", "torch", "transformers", "peft", "trl", "datasets", "numpy", "pyarrow", "pydantic")
FOLDER = "run_folder"


@contextmanager
def traced_to(folder: Path) -> Iterator[None]:
    """Errors of this work that nobody expected leave their traceback in `folder`, once it is there."""
    try:
        yield
    except Exception as error:
        with suppress(AttributeError, TypeError):  # some errors of compiled code take no attributes
            setattr(error, FOLDER, folder)
        raise


def told(error: Exception) -> str:
    """One line about an error that is not the user's; the traceback goes into the file that the line names."""
    what = f"{type(error).__name__}: {str(error).strip() or 'no text'}".splitlines()[0]
    return (
        f"unexpected {what}. This is a fault of coresift. {_kept(error)} What is done is kept: once the cause is gone, "
        "the same line goes on from here."
    )


def _kept(error: Exception) -> str:
    text = _log(error)
    for folder in (getattr(error, FOLDER, None), Path(tempfile.gettempdir())):
        if folder is None or not folder.is_dir():
            continue
        path = folder / f"coresift-failure-{time.strftime('%Y%m%d-%H%M%S')}.log"
        with suppress(OSError, CoresiftError):
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
            return f"Report it with {path}: the traceback, the command and versions, none of your data."
    print(text, file=sys.stderr)  # no place takes a file: better a long message than none
    return "Report it with the traceback above."


def _log(error: Exception) -> str:
    versions = {"python": sys.version.split()[0], "system": platform.platform()}
    for name in LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    lines = [f"command: {' '.join(sys.argv)}", *(f"{name}: {version}" for name, version in versions.items()), ""]
    return "\n".join(lines) + "\n" + "".join(traceback.format_exception(error))
