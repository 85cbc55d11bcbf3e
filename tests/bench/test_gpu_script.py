"""`make gpu`: one sentence without a GPU; its parts, limits and figures, tried at a tiny size on a CPU."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.py"


@pytest.fixture
def gpu() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_script", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_without_a_gpu_it_says_so_in_one_sentence(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "has_cuda", lambda search: False)
    out = tmp_path / "gpu.json"
    assert gpu.main(["--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert said == "make gpu: torch sees no CUDA device here, so nothing was run; it was never run on one.\n"
    out.write_text("{}")
    assert f"the figures of the last run on one are in {out}." in gpu.without_gpu(out)


def test_parts_are_run_at_a_tiny_size_and_their_figures_are_kept(gpu: ModuleType, tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    assert gpu.main(["--cpu", "--out", str(out), "--parts", "doctor", "selection of 100,000"]) == 0
    found = json.loads(out.read_text())["parts"]
    assert {part["status"] for part in found.values()} == {"done"}
    assert any("batched and alone agree" in line for line in found["doctor"]["figures"])
    assert found["selection of 100,000"]["figures"]["bench"] == "memory"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tests", "gradients of an 8B model", "end to end"])
def test_the_longer_parts_run_too(gpu: ModuleType, name: str, tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    assert gpu.main(["--cpu", "--out", str(out), "--parts", name]) == 0, out.read_text()
    assert json.loads(out.read_text())["parts"][name]["figures"]


def test_a_part_that_fails_or_is_late_is_named_and_the_others_go_on(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def part(text: str, limit: float = 60.0) -> object:
        return gpu.Part(limit, (), ("-c", text), "")

    parts = {
        "bad": part("print('the reason'); raise SystemExit(3)"),
        "good": part("print('a figure')"),
    }
    monkeypatch.setattr(gpu, "PARTS", parts)
    out = tmp_path / "gpu.json"
    assert gpu.main(["--cpu", "--out", str(out), "--parts", *parts]) == 1
    found = json.loads(out.read_text())["parts"]
    assert [found[name]["status"] for name in parts] == ["failed", "done"]
    assert found["bad"]["last_lines"] == ["the reason"] and found["good"]["figures"] == ["a figure"]
    assert "the reason" in capsys.readouterr().out
    late = gpu.Part(0.5, ("-c", "import time; time.sleep(60)"), (), "")
    monkeypatch.setattr(gpu, "PARTS", {"late": late})
    assert gpu.run("late", "world", small=False, left=60.0, search="")["status"] == "out of time"


def test_what_is_left_of_the_time_limits_every_part(gpu: ModuleType) -> None:
    assert gpu.run("doctor", "world", small=True, left=0.0, search="") == {"status": "no time left", "seconds": 0.0}
    assert all(part.limit < gpu.LIMIT == 540 for part in gpu.PARTS.values())


def test_wheels_that_were_brought_along_are_used_for_what_is_missing_only(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(gpu.subprocess, "run", lambda command, check: asked.append(command))
    assert str(tmp_path) not in gpu.with_wheels(tmp_path) and asked == []
    monkeypatch.setattr(gpu, "NEEDED", ("sys", "no_such_package_here"))
    assert gpu.with_wheels(tmp_path).endswith(str(tmp_path / "installed"))
    assert asked[0][-1] == "no_such_package_here" and "--no-index" in asked[0]
    assert gpu.with_wheels(tmp_path / "absent").count("installed") == 0
