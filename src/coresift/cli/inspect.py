"""`coresift inspect`: what a pool, a feature store, a coreset or a run is, in words."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from coresift.cli.options import Columns, Split, columns_of
from coresift.errors import DataError
from coresift.terminal import say, shown


def inspect(
    path: Annotated[list[str], typer.Argument(help="A pool (one file or several), run, coreset or feature store.")],
    map: Columns = None,
    format: Annotated[
        str, typer.Option(metavar="NAME", help="Format of a pool; otherwise told by its columns.")
    ] = "auto",
    split: Split = "train",
) -> None:
    """Say what a path holds."""
    reading = {"columns": columns_of(map), "format": format, "split": split}
    say(describe_path(path[0], **reading) if len(path) == 1 else _pool(path, **reading))


def describe_path(path: str, **reading: Any) -> str:
    """The words `coresift inspect` prints; `reading` says how a pool is read, as `read_pool` takes it."""
    folder = Path(path).expanduser()
    if (folder / "settings.yaml").is_file():
        return _run(folder)
    if folder.name in ("coreset.json", "coreset.npz"):
        folder = folder.parent
    if (folder / "coreset.json").is_file():
        return _coreset(folder)
    if (folder / "training.json").is_file():
        return _training(folder)
    if (folder / "manifest.json").is_file():
        return _store(folder)
    if folder.is_dir() and any(folder.glob("*/manifest.json")):
        return "\n\n".join(_store(inner.parent) for inner in sorted(folder.glob("*/manifest.json")))
    return _pool([path], **reading)


def _pool(paths: list[str], **reading: Any) -> str:
    from coresift import world
    from coresift.data.describe import describe
    from coresift.data.readers import read_pool
    from coresift.pipeline.inputs import WORLD

    pool = world.pool() if paths == [WORLD] else read_pool(paths, skip_bad_rows=True, **reading)
    facts = {name: fact for name, fact in describe(pool).items() if name not in ("not_read", "changes")}
    notes = [f"  {shown(sentence)}" for sentence in pool.notes.sentences]
    return "\n".join([f"pool {shown(', '.join(paths))}", _lines(facts), *notes])


def _coreset(folder: Path) -> str:
    from coresift.coreset import Coreset

    coreset = Coreset.load(folder)
    facts = {
        "method": coreset.provenance.get("method"),
        "examples": f"{len(coreset)} of {coreset.provenance.get('n')}",
        "budget": coreset.provenance.get("budget"),
        "weights": f"sum {coreset.weights.sum():.0f}, largest {coreset.weights.max():.0f}, "
        f"worth {coreset.effective_size:.1f} equal ones",
        "seed": coreset.provenance.get("seed"),
        "seconds": coreset.provenance.get("seconds"),
        "version": coreset.provenance.get("version"),
    }
    keys = ("alpha", "B_KN", "B_IF", "A_KN", "A_IF", "e_KN", "e_IF", "e_SFT", "certificate", "f", "f_random")
    facts |= {key: coreset.diagnostics[key] for key in keys if key in coreset.diagnostics}
    return f"coreset {folder}\n" + _lines(facts)


def _store(folder: Path) -> str:
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        if "shard_columns" in manifest:
            return _kernel(folder, manifest)
        identity = dict(manifest["identity"])
        total = -(-identity["rows"] // manifest["shard_rows"])
    except (ValueError, KeyError) as error:
        raise DataError(
            f"{folder / 'manifest.json'}: not a manifest of a feature store ({error!r}). Extract again."
        ) from None
    identity["shards"] = f"{len(manifest['shards'])} of {total}"
    identity["bytes"] = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return f"feature store {folder}\n" + _lines(identity)


def _kernel(folder: Path, manifest: Mapping[str, Any]) -> str:
    total = -(-manifest["examples"]["count"] // manifest["shard_columns"])
    found = list(folder.glob("columns-*.safetensors"))
    size = sum(path.stat().st_size for path in found)
    return f"utilities {folder}\n" + _lines({**manifest, "shards": f"{len(found)} of {total}", "bytes": size})


def _training(folder: Path) -> str:
    from coresift.training.checkpoints import Checkpoint

    hidden = ("inputs", "loss_curve")
    return f"training run {folder}\n" + _lines({k: v for k, v in Checkpoint(folder).summary.items() if k not in hidden})


def _earlier(entry: Mapping[str, Any]) -> str:
    facts = {key: entry.get(key) for key in ("method", "budget", "examples", "seed", "artefact")}
    return "  " + ", ".join(f"{key} {shown(value)}" for key, value in facts.items())


def _run(folder: Path) -> str:
    from coresift.pipeline.uses import history
    from coresift.report.tables import score_table

    parts = [f"run {folder}"]
    costs = folder / "costs.json"
    if not costs.is_file():
        parts.append("no stage has finished yet: run the same command again to go on")
    else:
        spent = json.loads(costs.read_text(encoding="utf-8"))
        parts.append("stages done:\n" + _lines({stage: f"{cost['seconds']:.1f} s" for stage, cost in spent.items()}))
    if (folder / "coreset.json").is_file():
        parts.append(_coreset(folder))
    if len(earlier := history(folder)[:-1]) > 0:
        parts.append("\n".join(["earlier selections, still in the store:", *map(_earlier, earlier)]))
    if (folder / "scores.json").is_file():
        parts.append(score_table(json.loads((folder / "scores.json").read_text(encoding="utf-8"))["rows"]))
    if (folder / "report" / "index.html").is_file():
        parts.append(f"page: {folder / 'report' / 'index.html'}")
    return "\n\n".join(parts)


def _lines(facts: Mapping[str, Any], indent: str = "  ") -> str:
    lines = []
    for key, value in facts.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{shown(key)}:", _lines(value, indent + "  ")]
        else:
            text = format(value, ".6g") if isinstance(value, float) else shown(value)
            lines.append(f"{indent}{shown(key)}: {text}")
    return "\n".join(lines)
