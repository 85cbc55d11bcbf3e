"""The example of the page about rounds runs as it stands."""

import re
from pathlib import Path

import pytest

from coresift.models.quiet import quiet

PAGE = Path(__file__).parents[2] / "docs" / "rounds.md"


def test_the_callback_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict[str, object] = {}
    with quiet():
        exec(compile(example, "docs/rounds.md", "exec"), names)
    callback = names["callback"]
    assert callback.state.spent == 24 and len(callback.trace) >= 3  # type: ignore[attr-defined]
