"""`coresift bench`: measure this machine, or list what can be measured."""

from typing import Annotated

import typer


def bench(
    name: Annotated[str | None, typer.Argument(help="What to measure; without it, all there is is listed.")] = None,
    arguments: Annotated[list[str] | None, typer.Argument(help="Its options: coresift bench NAME -h.")] = None,
) -> None:
    """Measure on this machine: time and memory of selection, gradients; alone, list what there is."""
    from coresift.bench import entry

    if name is None:
        print(entry.listing())
    else:
        entry.run(name, arguments or [])
