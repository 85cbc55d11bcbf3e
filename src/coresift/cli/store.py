"""`coresift store ls | verify | rm | gc` and `coresift pack`: what runs share, and a run that shares nothing."""

import os
from pathlib import Path
from typing import Annotated

import typer

from coresift.errors import RunError

app = typer.Typer(help="What runs share: list it, verify it, delete what nobody needs.", no_args_is_help=True)
Root = Annotated[
    Path | None, typer.Option("--store", metavar="DIR", help="The store; default $CORESIFT_STORE, else runs/.store.")
]


def _root(named: Path | None) -> Path:
    from coresift.pipeline.runs import STORE_VARIABLE

    return named or Path(os.environ.get(STORE_VARIABLE) or Path("runs") / ".store")


@app.command("ls")
def ls(store: Root = None) -> None:
    """List every artefact with its size, what it cost, and who uses it."""
    from coresift.artefacts.upkeep import entries

    found = entries(_root(store))
    for each in found:
        used = ", ".join(each.users) or "nobody"
        state = "" if each.state == "whole" else f", {each.state}"
        print(f"{_size(each.bytes):>9}  {each.seconds:>9.1f} s  {each.name}  used by {used}{state}")
    print(f"{_size(sum(each.bytes for each in found)):>9}  in {len(found)} artefacts of {_root(store)}")


@app.command("verify")
def verify(store: Root = None) -> None:
    """Compare every file with its checksum."""
    from coresift.artefacts.upkeep import entries
    from coresift.artefacts.upkeep import verify as damaged_in

    root = _root(store)
    count, damaged = len(entries(root)), damaged_in(root)
    for name, bad in damaged.items():
        print(f"damaged: {name} ({', '.join(bad)})")
    if damaged:
        raise RunError(f"{len(damaged)} of {count} artefacts are damaged. The next run that needs one makes it again.")
    print(f"all {count} artefacts are intact")


@app.command("rm")
def rm(
    names: Annotated[list[str], typer.Argument(help="Names as `ls` shows them.")],
    store: Root = None,
    force: Annotated[bool, typer.Option("--force", help="Delete what a run uses, too.")] = False,
) -> None:
    """Delete artefacts by name."""
    from coresift.artefacts.upkeep import remove

    for name in remove(_root(store), names, force=force):
        print(f"deleted: {name}")


@app.command("gc")
def gc(
    store: Root = None, yes: Annotated[bool, typer.Option("--yes", help="Delete; without it only listed.")] = False
) -> None:
    """Delete what no run folder uses and what was never finished."""
    from coresift.artefacts.upkeep import remove, unused

    root = _root(store)
    found = unused(root)
    for name in remove(root, found) if yes else found:
        print(f"{'deleted' if yes else 'nobody uses'}: {name}")
    if not yes:
        print(f"{len(found)} artefacts can go. Pass --yes to delete them.")


def pack(run: Annotated[Path, typer.Argument(help="A run folder.")]) -> None:
    """Copy all that a run uses into its folder, so that it can go anywhere without its store."""
    from coresift.pipeline.uses import pack as pack_run

    print(f"packed: {pack_run(run)}")


def _size(count: int) -> str:
    from coresift.memory import in_words

    return in_words(count)
