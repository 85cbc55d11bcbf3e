"""The example of the page about targets runs as it stands."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "targets.md"


def test_the_example_chooses_for_two_subtasks() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(example, "docs/targets.md", "exec"), names)
    coreset = names["coreset"]
    assert len(coreset) == 30 and set(coreset.diagnostics["subtasks"]) == {"law", "tax"}  # type: ignore[arg-type,attr-defined]
