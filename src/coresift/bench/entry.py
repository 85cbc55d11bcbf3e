"""`coresift bench NAME ARGUMENTS`: find a benchmark, run it, print its tables, keep the figures."""

import argparse
import difflib
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from coresift import __version__
from coresift.bench import BENCHES
from coresift.errors import SettingsError
from coresift.files import write_json


class Parser(argparse.ArgumentParser):
    """Mistakes are errors like all others; nothing ends the process."""

    def error(self, message: str) -> NoReturn:
        """Name the mistake and where to look."""
        raise SettingsError(f"{self.prog}: {message}. `{self.prog} --help` lists the options.")


def listing() -> str:
    """What there is to measure, one line each."""
    width = max(map(len, BENCHES))
    lines = [f"  {name:{width}}  {what}" for name, what in BENCHES.items()]
    return "\n".join(["coresift bench NAME [OPTIONS]", *lines, "Options of one: coresift bench NAME -h"])


def run(name: str, arguments: Sequence[str]) -> None:
    """Run one benchmark; every table is printed as soon as it is there.

    Raises:
        SettingsError: If there is no such benchmark or the arguments are not its own.
    """
    module = importlib.import_module(f"coresift.bench.{_known(name)}")
    parser = _parser(name, module.__doc__ or "")
    module.options(parser)
    asked = parser.parse_args(arguments)
    if asked.help:
        print(parser.format_help())
        return
    from coresift.bench import machine, timing

    found = machine.facts(_device(asked))
    print(machine.show(found), flush=True)
    tables = []
    for table in module.measure(asked):
        print(timing.show(table), flush=True)
        tables.append(table.plain)
    if asked.json is not None:
        build = {"version": __version__, "commit": machine.commit_of(Path(__file__).parent)}
        asked_for = {"bench": name, "arguments": _plain(asked)}
        write_json(asked.json, {**asked_for, **build, "machine": found, "tables": tables})
        print(f"figures: {asked.json}")


def positive(text: str) -> int:
    """A whole number above 0, for the options of a benchmark."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def output(text: str) -> Path:
    """A file that can be written when the work is done: said before it begins."""
    if Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a folder. Name a file")
    return Path(text)


def _known(name: str) -> str:
    if name not in BENCHES:
        close = difflib.get_close_matches(name, BENCHES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise SettingsError(f"bench {name}: no such benchmark.{hint} Give one of: {', '.join(BENCHES)}.")
    return name


def _parser(name: str, about: str) -> Parser:
    parser = Parser(
        prog=f"coresift bench {name}",
        description=about,
        add_help=False,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-h", "--help", action="store_true", help="show this and stop")
    parser.add_argument("--json", type=output, metavar="FILE", help="also write all figures, every repeat, as JSON")
    return parser


def _device(asked: argparse.Namespace) -> str:
    """Where the work is to run.

    Raises:
        SettingsError: If that is an accelerator which is not there.
    """
    import torch

    device = getattr(asked, "device", "cpu")
    if device != "cpu" and not torch.cuda.is_available():
        raise SettingsError(f"--device {device}: torch sees no CUDA device here. Use --device cpu.")
    return device


def _plain(asked: argparse.Namespace) -> dict[str, Any]:
    kept = {key: value for key, value in vars(asked).items() if key not in ("help", "json")}
    return {key: str(value) if isinstance(value, Path) else value for key, value in kept.items()}
