"""Imports go strictly down the floors, methods see arrays only, and importing the package is cheap."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "coresift"

GROUND = (
    *("errors", "seeds", "fingerprints", "differences", "settings", "files", "progress", "savepoints", "memory"),
    *("units", "terminal", "lazy", "disk", "notebook"),
)
FLOORS: tuple[tuple[str, ...], ...] = (
    GROUND,
    ("submodular", "line_search", "bandits", "targets", "statistics", "artefacts", "execution", "data", "recipes"),
    ("features",),
    ("budget", "coreset", "claims", "models"),
    ("problem", "policy"),
    ("selection", "targeted"),
    ("extract", "selectors", "online", "training", "world"),
    ("evaluation",),
    ("report",),
    ("pipeline",),
    ("bench",),
    ("cli",),
    ("__main__",),
)
"""Rooms from low to high. A room imports itself and what lies below its floor; rooms of one floor do not meet."""

WINGS: dict[str, tuple[tuple[str, ...], ...]] = {
    "submodular": (("compiled", "threads"), ("distances",), ("cover", "worth", "matching", "clustering")),
}
"""Rooms of rooms, from low to high by the same rule. What is outside imports from the file that it needs."""

ONLY = {
    "world": {*GROUND, "data", "models"},
    "submodular": set(GROUND),
    "line_search": set(GROUND),
    "targets": set(GROUND),
    "statistics": set(GROUND),
    "recipes": set(),
}
"""Rooms that may import less than everything below them."""

BLIND = (
    *("submodular", "line_search", "targets", "statistics"),
    *("selectors", "problem", "selection", "targeted", "budget"),
)
"""Rooms that know no model, no tokenizer and no file."""
OUT_OF_SIGHT = (
    *("transformers", "peft", "trl", "tokenizers", "accelerate", "datasets", "huggingface_hub"),
    *("pathlib", "os", "io", "shutil", "tempfile", "safetensors", "pyarrow", "yaml"),
    *("coresift.models", "coresift.data", "coresift.files", "coresift.features.store"),
)

HEAVY = (
    *("torch", "numba", "transformers", "peft", "trl", "datasets", "tokenizers", "accelerate", "huggingface_hub"),
    *("matplotlib", "rich", "typer", "pyarrow", "pandas"),
)
"""Libraries that are loaded only where they are used."""


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of every import of a file, those inside functions included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def files_of(*rooms: str) -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if room_of(path) in rooms]


ROOMS = sorted({room_of(path) for path in PACKAGE.rglob("*.py")} - {"__init__", "__main__"})
FLOOR_OF = {room: number for number, floor in enumerate(FLOORS) for room in floor}


def allowed(room: str) -> set[str]:
    below = {other for other, floor in FLOOR_OF.items() if floor < FLOOR_OF[room]}
    siblings = set(GROUND) if room in GROUND else {room}
    return ONLY.get(room, below) | siblings


def is_one_of(name: str, roots: tuple[str, ...]) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in roots)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_strictly_down(room: str) -> None:
    assert room in FLOOR_OF, f"{room} has no floor: place it in FLOORS"
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} imports {name}"
        for path in files_of(room)
        for line, name in imports(path)
        if is_one_of(name, ("coresift",)) and name.split(".")[1] not in {*allowed(room), "__version__"}
    ]
    assert wrong == []


@pytest.mark.parametrize("room", WINGS)
def test_the_parts_of_a_room_import_strictly_down(room: str) -> None:
    part_of = {path: path.relative_to(PACKAGE / room).parts[0].removesuffix(".py") for path in files_of(room)}
    level_of = {part: number for number, level in enumerate(WINGS[room]) for part in level}
    assert {*part_of.values()} - {"__init__"} == set(level_of), f"place each part of {room} in WINGS"
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} imports {name}"
        for path, part in part_of.items()
        for line, name in imports(path)
        if is_one_of(name, (f"coresift.{room}",))
        and (other := name.split(".")[2]) != part
        and (part == "__init__" or level_of[other] >= level_of[part])
    ]
    assert wrong == []


@pytest.mark.parametrize("wing", ["line_search", *(f"submodular/{wing}" for wing in ("distances", "cover", "worth"))])
def test_a_wing_says_what_it_answers_and_where_to_start(wing: str) -> None:
    said = ast.get_docstring(ast.parse((PACKAGE / wing / "__init__.py").read_text(encoding="utf-8"))) or ""
    assert said.splitlines()[0].endswith("?") and len(said.splitlines()) <= 5
    start = said.split("Start at `")[1].split("`")[0]
    assert (PACKAGE / wing / start).is_file()
    assert [path.name for path in (PACKAGE / wing).glob("[!_]*.py") if f"`{path.name}`" not in said] == []


@pytest.mark.parametrize("room", [room for room in BLIND if room in ROOMS])
def test_methods_import_no_model_tokenizer_or_file(room: str) -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} imports {name}"
        for path in files_of(room)
        for line, name in imports(path)
        if is_one_of(name, OUT_OF_SIGHT)
    ]
    assert wrong == []


def test_methods_do_not_meet() -> None:
    wrong = [
        f"{path.name}:{line} imports {name}"
        for path in files_of("selectors")
        for line, name in imports(path)
        if path.name != "__init__.py" and is_one_of(name, ("coresift.selectors",)) and path.stem not in name.split(".")
    ]
    assert wrong == []


def test_no_room_is_called_misc() -> None:
    assert set(ROOMS) & {"utils", "common", "helpers", "misc"} == set()


def test_no_two_test_files_have_one_name() -> None:
    """pytest imports them by their names alone."""
    names = [path.name for path in Path(__file__).parents[1].rglob("test_*.py")]
    assert sorted({name for name in names if names.count(name) > 1}) == []


LIGHT = ("coresift", "coresift.data", "coresift.cli.main", "coresift.pipeline.recipes")
"""What help, settings and their errors need."""


@pytest.mark.parametrize("module", LIGHT)
def test_importing_loads_no_heavy_library(module: str) -> None:
    listing = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    surface = {"typer", "rich"} if module == "coresift.cli.main" else set()
    assert set(done.stdout.split()) & set(HEAVY) <= surface
