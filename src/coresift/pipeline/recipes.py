"""From a YAML file and `--set` overrides to a checked recipe that knows where each value came from."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from coresift.errors import SettingsError
from coresift.models.sources import WORLD
from coresift.pipeline.config import Recipe
from coresift.pipeline.yaml_text import read_yaml
from coresift.settings import in_words

HEADER = "# Every setting of a run, as a recipe that can be run again; behind a value stands where it came from."
"""The first line of resolved settings, by which they are known when they are run again."""
ASIDE = "x-"
"""How top-level keys begin that are no settings."""


@dataclass(frozen=True)
class Resolved:
    """A recipe and where its values came from.

    Attributes:
        recipe: The recipe.
        origins: Dotted setting -> `default`, the recipe's file name, or `--set`.
        source: The file that all settings without an origin came from, if that file is the resolved settings of a run:
            it sets every value, so naming it behind each would say nothing. Empty for other recipes.
        notes: What became of settings that belong to a pool that was replaced, for the first lines of a run.
    """

    recipe: Recipe
    origins: Mapping[str, str]
    source: str = ""
    notes: tuple[str, ...] = ()

    def to_yaml(self) -> str:
        """The resolved settings as a recipe that can be run again."""
        once = [f"# Values with nothing behind them are those of {self.source}."] if self.source else []
        return "\n".join([HEADER, *once, *_lines(self.recipe.model_dump(mode="json"), self.origins)]) + "\n"

    def said_once(self, source: str) -> "Resolved":
        """The same, with one origin named for all its values together."""
        return replace(self, origins={key: its for key, its in self.origins.items() if its != source}, source=source)


def load_recipe(source: str | Path, overrides: Sequence[str] = ()) -> Resolved:
    """Read a recipe.

    Args:
        source: A YAML file, or the name of a shipped recipe (`demo`, `brief-small`, ...).
        overrides: `a.b=value` settings, the value in YAML; they win over the file.

    Raises:
        SettingsError: If the file is missing or broken, or a setting is unknown or out of range.
    """
    path = find_recipe(source)
    try:
        text = path.read_text(encoding="utf-8")
        values = read_yaml(text)
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 text ({error}). Save it as UTF-8 and run again.") from None
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None
    if not isinstance(values, dict):
        raise SettingsError(f"{path}: a recipe is a mapping of settings, found {type(values).__name__}.")
    resolved = resolve(values, overrides, origin=path.name)
    return resolved.said_once(path.name) if text.startswith(HEADER) else resolved


def find_recipe(source: str | Path) -> Path:
    """The file of a recipe given by path or by shipped name."""
    path = Path(source).expanduser()
    shipped = shipped_recipes()
    if path.is_file():
        return path
    name = str(source).removesuffix(".yaml")
    if name in shipped:
        return shipped[name]
    close = difflib.get_close_matches(name, shipped, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    known = ", ".join(sorted(shipped))
    raise SettingsError(f"{source}: no such recipe file.{hint} Give a YAML file or one of: {known}.")


def shipped_recipes() -> dict[str, Path]:
    """Name -> file of the recipes inside the package."""
    folder = Path(str(resources.files("coresift.recipes")))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def resolve(values: Mapping[str, Any], overrides: Sequence[str] = (), *, origin: str = "recipe") -> Resolved:
    """Check a mapping of settings with overrides applied; top-level keys `x-...` are room for anchors and left out.

    Raises:
        SettingsError: As `load_recipe`.
    """
    merged: dict[str, Any] = _copy({key: value for key, value in values.items() if not str(key).startswith(ASIDE)})
    origins = dict.fromkeys(_leaves(merged), origin)
    for override in overrides:
        key, value = _parse_override(override)
        _put(merged, key, value)
        origins = {known: its for known, its in origins.items() if not known.startswith(f"{key}.")}
        origins.update(dict.fromkeys(_leaves(value, key), "--set"))
    notes = _drop_what_belongs_to_the_world(merged, origins)
    recipe = check(merged)
    known = {key: origins.get(key, "default") for key in _leaves(recipe.model_dump(mode="json"))}
    return Resolved(recipe, known, notes=notes)


def _drop_what_belongs_to_the_world(values: dict[str, Any], origins: dict[str, str]) -> tuple[str, ...]:
    """Where a recipe's pool is replaced by `--set`, its tests on the embedded world go too, unless they are `--set`."""
    pool, evaluate = values.get("pool"), values.get("evaluate")
    is_replaced = origins.get("pool.path", origins.get("pool")) == "--set"
    if not is_replaced or not isinstance(pool, dict) or pool.get("path") == WORLD:
        return ()
    notes = []
    for key, instead in (("test", "models are scored on pool.held_out"), ("second", "there is no second test")):
        if isinstance(evaluate, dict) and evaluate.get(key) == WORLD and origins.get(f"evaluate.{key}") != "--set":
            evaluate[key] = None
            origins[f"evaluate.{key}"] = "left out: a test on the embedded world"
            notes.append(f"evaluate.{key}: the recipe's is on the embedded world, which is not this pool: {instead}")
    for name in ("target", "existing"):
        other = values.get(name)
        if isinstance(other, dict) and other.get("path") == WORLD and origins.get(f"{name}.path") != "--set":
            notes.append(f"{name}: still the recipe's, of the embedded world; --set {name}.path=FILE names your own")
    return tuple(notes)


def check(values: Mapping[str, Any]) -> Recipe:
    """The recipe of a plain mapping, or a SettingsError that names the first faults and how to mend them."""
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise SettingsError(in_words(error, Recipe)) from None


def _parse_override(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if equals == "" or key.strip() == "":
        raise SettingsError(f"--set {text}: not of the form key=value. Example: --set pool.path=my.jsonl")
    if value.strip() == "":
        return key.strip(), ""
    try:
        return key.strip(), read_yaml(value)
    except SettingsError as error:
        if value.lstrip().startswith(("{", "[", "&", "*")):
            raise SettingsError(f"--set {text}: {error}") from None
        return key.strip(), value  # text such as `a: b: c` or `2024-13-45` stands for itself


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for part in path:
        inner = values.get(part)
        values[part] = inner if isinstance(inner, dict) else {}
        values = values[part]
    values[last] = value


def _copy(value: Any) -> Any:
    return {key: _copy(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value


def _leaves(value: Any, prefix: str = "") -> list[str]:
    if isinstance(value, Mapping) and len(value) > 0:
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, f"{prefix}.{key}".lstrip("."))]
    return [prefix]


def _lines(values: Mapping[str, Any], origins: Mapping[str, str], prefix: str = "") -> list[str]:
    lines = []
    for key, value in values.items():
        place = f"{prefix}{key}"
        indent = "  " * prefix.count(".")
        if isinstance(value, Mapping) and len(value) > 0:
            lines += [f"{indent}{key}:", *_lines(value, origins, f"{place}.")]
        else:
            text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**9)
            shown = text.removesuffix("...\n").strip()
            lines.append(f"{indent}{key}: {shown}" + (f"  # {origins[place]}" if place in origins else ""))
    return lines
