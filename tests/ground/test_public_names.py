"""What `import coresift` promises is there, though it is loaded only when it is first used."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import coresift

SOURCE = Path(coresift.__file__)


def typed() -> dict[str, str]:
    """Name -> module, as type checkers are told."""
    return {
        alias.name: node.module or ""
        for node in ast.walk(ast.parse(SOURCE.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("coresift.")
        for alias in node.names
    }


@pytest.mark.parametrize("name", coresift.__all__)
def test_a_public_name_is_what_type_checkers_take_it_for(name: str) -> None:
    assert getattr(coresift, name) is getattr(import_module(typed()[name]), name)


def test_type_checkers_know_all_public_names_and_dir_lists_them() -> None:
    assert sorted(typed()) == sorted(coresift.__all__)
    assert set(coresift.__all__) <= set(dir(coresift))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'coresift' has no attribute 'selct'"):
        coresift.selct  # noqa: B018


def test_select_is_the_function_whatever_was_imported_before() -> None:
    lines = "import coresift.selection; from coresift import select; print(select.__name__, select.__module__)"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["select", "coresift.selection"]
