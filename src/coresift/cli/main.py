"""Entry point: the verbs, and the one place where an error becomes a message and exit code 2."""

import os
import sys
import warnings
from io import TextIOWrapper
from pathlib import Path

import typer

from coresift import __version__, disk
from coresift.cli import bench, compare, demo, doctor, inspect, merge, run, schema, select, stages, store
from coresift.cli.last_resort import told
from coresift.errors import CoresiftError
from coresift.memory import is_shortage
from coresift.terminal import lines_shown

INTERRUPTED = 130
"""The exit code of what Ctrl-C ended, so that `coresift ... && next` goes no further."""

app = typer.Typer(
    name="coresift",
    help="Choose a small weighted subset of an instruction pool, train on it, show what it cost and what it kept.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _root(version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print it.")) -> None:
    """Options of all verbs."""


app.command("demo")(demo.demo)
app.command("run")(run.run)
app.command("select")(select.select)
for name in stages.VERBS:
    if name != "select":
        app.command(name)(stages.verb(name))
app.command("compare")(compare.compare)
app.command("doctor")(doctor.doctor)
app.command("inspect")(inspect.inspect)
app.command("merge")(merge.merge)
app.add_typer(store.app, name="store")
app.command("pack")(store.pack)
app.command("schema")(schema.schema)
# What follows the name belongs to the benchmark, options included.
app.command("bench", context_settings={"allow_interspersed_args": False})(bench.bench)


def run_command(arguments: list[str] | None = None) -> int:
    """Run one command line. Returns the exit code: 0, 2 for anything the user can fix, 130 when interrupted."""
    _quiet_libraries()
    _print_anything()
    try:
        code = app(args=arguments, standalone_mode=False)  # what ends a command early is returned, not raised
        if code == INTERRUPTED:
            raise KeyboardInterrupt
    except CoresiftError as error:
        print(f"error: {lines_shown(error)}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, typer.Abort):  # typer's releases differ in which it is
        print("interrupted: run the same command again to go on from here", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  the last resort
        message = _in_words(error)
        if message:  # empty when the help was printed instead
            print(f"error: {lines_shown(message)}", file=sys.stderr)
        return 2
    return code or 0


def _in_words(error: Exception) -> str:
    """What is said of an error that is none of ours."""
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # click's own usage errors
        return str(error.format_message())
    if is_shortage(error):
        return (
            "out of memory. Lower what the last line speaks of: extract.batch_tokens, train.micro_batch_size, "
            "evaluate.batch_tokens, memory, or the number of examples (pool.examples). Then run the same line again."
        )
    if isinstance(error, OSError) and error.filename is not None:
        stopped = disk.in_words(error, Path(str(error.filename)))
        return stopped or f"{error.filename}: {error.strerror}. Check the path and its permissions."
    return told(error)


def _quiet_libraries() -> None:
    """The libraries below are chatty; what a run has to say it says itself. A user's own settings win."""
    quiet = {
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
    }
    for name, value in quiet.items():
        os.environ.setdefault(name, value)
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", category=FutureWarning)


def _print_anything() -> None:
    """A terminal that knows fewer characters than we print shows their numbers."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def main() -> None:
    """The `coresift` command."""
    sys.exit(run_command())


if __name__ == "__main__":
    main()
