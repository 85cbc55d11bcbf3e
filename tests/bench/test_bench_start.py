"""`coresift bench start`: what a command costs before it does anything, against another build."""

import json
from pathlib import Path

import pytest

from coresift.bench import start

COUNTING = """
from pathlib import Path
with (Path(__file__).parent / "ran").open("a") as ran:
    ran.write("x")
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A build that counts how often it is imported."""
    package = tmp_path / "src" / "coresift"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(COUNTING)
    return tmp_path


def test_both_builds_run_in_turns_and_every_counted_run_is_kept(
    bench, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "COMMANDS", {"import coresift": ("-c", "import coresift")})
    kept = tmp_path / "figures.json"
    answer = bench("start", "--repeats", 2, "--against", checkout, "--json", kept)
    assert answer.code == 0 and "import coresift, build compared with" in answer.out
    figures = json.loads(kept.read_text())
    other, this = figures["tables"][0]["rows"]
    assert len(other["seconds"]) == len(this["seconds"]) == 2
    assert (checkout / "src" / "coresift" / "ran").read_text() == "xxx"  # one more, which warms up
    assert other["ratio"] == 1.0 and this["ratio"] == pytest.approx(this["median"] / other["median"])
    assert min(this["seconds"]) > 0.0 and this["wall"] > 0.0 and other["commit"] is None
    assert figures["commit"] == this["commit"]


@pytest.mark.parametrize("name", start.COMMANDS)
def test_every_command_runs_and_those_with_a_fault_say_it(name: str, coresift) -> None:
    module, *words = start.COMMANDS[name][1:]
    if module == "coresift":
        assert coresift(*words).code == (0 if "--help" in words else 2)
    else:
        assert start.COMMANDS[name] == ("-c", "import coresift")


def test_a_folder_that_is_no_checkout_is_refused_before_any_run(bench, tmp_path: Path) -> None:
    answer = bench("start", "--against", tmp_path)
    assert answer.code == 2 and f"--against {tmp_path}: no src/coresift there. Name a checkout" in answer.err
