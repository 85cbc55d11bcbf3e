"""The documentation is true: its code runs, the tests and files it names exist, and nothing shipped points outside."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import tiny
import yaml

from coresift import BalancedRandom, select

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md"])
TESTS = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))


def tracked() -> list[Path]:
    """Files of the project, by git where there is a clone, else by looking."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.split("\0") if listed.returncode == 0 else []
    found = [ROOT / name for name in names if name] or list((ROOT / "src").rglob("*"))
    return [path for path in found if path.is_file()]


def blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)


def test_the_selection_example_of_the_python_guide_runs() -> None:
    names: dict[str, object] = {}
    for example in [block for block in blocks(ROOT / "docs" / "python.md") if "InMemoryFeatures({" in block]:
        exec(compile(example, "docs/python.md", "exec"), names)
    assert len(names["coreset"]) == 50  # type: ignore[arg-type]
    assert names["small"].ids == names["large"].ids[:10]  # type: ignore[attr-defined]
    assert names["representative"].provenance["method"] == "craig"  # type: ignore[attr-defined]


def test_the_table_of_the_statistics_page_says_what_the_page_prints(capsys: pytest.CaptureFixture[str]) -> None:
    page = ROOT / "docs" / "statistics.md"
    exec(compile(blocks(page)[0], "docs/statistics.md", "exec"), {})
    assert capsys.readouterr().out.strip() in page.read_text()


def test_the_training_guide_goes_from_a_pool_to_a_model_trained_with_the_weights_of_a_coreset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.save(tmp_path / "path" / "to" / "base-model")
    pool = tiny.pool(12)
    Path("pool.jsonl").write_text("".join(json.dumps(dict(pool.row(place))) + "\n" for place in range(12)))
    select(BalancedRandom(), None, 4, ids=pool.ids, groups=[*"aaaaaaaabbbb"]).save("runs/my-run")
    names: dict[str, Any] = {}
    for example in blocks(ROOT / "docs" / "training.md"):
        exec(compile(example, "docs/training.md", "exec"), names)
    assert [row.id for row in names["chosen"]] == list(names["coreset"].ids)
    assert len(set(names["coreset"].weights.tolist())) == 2
    plain, weighted = (Path("runs", name, "inputs.json").read_text() for name in ("mine", "weighted"))
    assert json.loads(plain)["weights"] != json.loads(weighted)["weights"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_import_in_the_documentation_works(page: Path) -> None:
    for block in blocks(page):
        for line in re.findall(r"^(?:from|import) .+$", block, flags=re.MULTILINE):
            exec(line, {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    named = set(re.findall(r"`(test_\w+)`", page.read_text()))
    assert {name for name in named if f"def {name}" not in TESTS} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    pages = {str(page.relative_to(ROOT / "docs")) for page in PAGES if page.name != "README.md"}
    assert {page for page in pages if page not in text} == set()
    assert yaml.safe_load(text)["site_name"] == "coresift"


def test_nothing_that_ships_refers_to_the_data_beside_the_repository() -> None:
    outside = "../" + "shared"
    shipped = [
        path for path in tracked() if "tests" not in path.parts and path.suffix in {".py", ".yaml", ".md", ".toml"}
    ]
    assert [path for path in shipped if outside in path.read_text(encoding="utf-8")] == []
