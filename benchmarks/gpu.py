"""`make gpu`: every test and benchmark of the project that wants a GPU, in nine minutes at most, and one JSON.

    python benchmarks/gpu.py [--out FILE] [--model FOLDER] [--parts NAME ...] [--cpu]

Each part is a process of its own with a limit of its own; what is left of the nine minutes is a limit for all. A part
that fails or runs out of time is named with its last lines, and the others go on. Where a package is missing, wheels in
a folder `wheels` of the project are installed into a folder of their own. --cpu runs every part at a tiny size, to try
them where there is no GPU.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 540.0
"""Seconds for all parts together."""
NEEDED = ("torch", "transformers", "peft", "trl", "numba", "pydantic", "safetensors", "psutil", "typer", "pytest")
COMMAND = ("-m", "coresift")


@dataclass(frozen=True)
class Part:
    """One thing that is run.

    Attributes:
        limit: Seconds.
        large: Arguments of Python on a GPU.
        small: The same at a tiny size on a CPU.
        kept: The file that holds its figures, in the folder it is given as {out}.
    """

    limit: float
    large: Sequence[str]
    small: Sequence[str]
    kept: str


BENCH = (*COMMAND, "bench")
KEEP = ("--json", "{out}/figures.json")
PARTS = {
    "tests": Part(
        120,
        ("-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", "--junitxml", "{out}/junit.xml"),
        ("-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", "--junitxml", "{out}/junit.xml", "tests/extract"),
        "junit.xml",
    ),
    "doctor": Part(
        60,
        (*COMMAND, "doctor", "--device", "cuda", "--model", "{model}"),
        (*COMMAND, "doctor", "--device", "cpu", "--examples", "2"),
        "",
    ),
    "gradients of an 8B model": Part(
        200,
        (*BENCH, "gradients", "--llama", "8b", "--dtype", "bfloat16", "--rank", "128", "--device", "cuda")
        + ("--batch-tokens", "8192", "--examples", "256", "--repeats", "2", "--passes", "lora", "head", *KEEP),
        (*BENCH, "gradients", "--llama", "64x1x64", "--examples", "2", "--repeats", "1", "--dim", "32", *KEEP)
        + ("--passes", "lora", "head"),
        "figures.json",
    ),
    "selection of 100,000": Part(
        120,
        (*BENCH, "memory", "--n", "100000", "--dim", "2048", "--device", "cuda", "--precision", "high", *KEEP),
        (*BENCH, "memory", "--n", "60", "--dim", "8", *KEEP),
        "figures.json",
    ),
    "end to end": Part(
        180,
        (*COMMAND, "run", "demo", "--set", "out={out}/run", "--set", "model.device=cuda")
        + ("--set", "model.path={model}"),
        (*COMMAND, "run", "random", "--set", "pool.path=world", "--set", "out={out}/run", "--set", "train=null")
        + ("--set", "model.path=world", "--set", "pool.examples=20", "--set", "compare={base: false}"),
        "run/costs.json",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 0 unless a part failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "gpu.json")
    parser.add_argument("--model", default="world", help="of doctor and the end-to-end run, such as a folder")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="NAME")
    parser.add_argument("--cpu", action="store_true", help="every part at a tiny size on a CPU")
    asked = parser.parse_args(arguments)
    search = with_wheels(ROOT / "wheels")
    if not asked.cpu and not has_cuda(search):
        print(without_gpu(asked.out))
        return 0
    began, found = time.monotonic(), {}
    for name in asked.parts:
        left = LIMIT - (time.monotonic() - began)
        found[name] = run(name, asked.model, small=asked.cpu, left=left, search=search)
        print(f"{name}: {found[name]['status']}, {found[name]['seconds']:.0f} s", flush=True)
        for line in found[name].get("last_lines", []):
            print(f"    {line}")
    figures = {"seconds": round(time.monotonic() - began, 1), "cpu": asked.cpu, "parts": found}
    asked.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(f"figures: {asked.out}")
    return int(any(part["status"] == "failed" for part in found.values()))


def run(name: str, model: str, *, small: bool, left: float, search: str) -> dict[str, Any]:
    """Status (done, failed, out of time, no time left), seconds, figures; a small part may use all that is left."""
    part = PARTS[name]
    if left <= 0:
        return {"status": "no time left", "seconds": 0.0}
    with tempfile.TemporaryDirectory() as out:
        words = [word.replace("{out}", out).replace("{model}", model) for word in (part.small if small else part.large)]
        began = time.monotonic()
        status, text = carried_out(words, left if small else min(part.limit, left), search)
        answer: dict[str, Any] = {"status": status, "seconds": round(time.monotonic() - began, 1)}
        kept = Path(out) / part.kept
        if part.kept and kept.is_file():
            answer["figures"] = counts(kept) if kept.suffix == ".xml" else json.loads(kept.read_text(encoding="utf-8"))
        if not part.kept:
            answer["figures"] = text.splitlines()
        if status != "done":
            answer["last_lines"] = text.splitlines()[-8:]
        return answer


def carried_out(words: Sequence[str], limit: float, search: str) -> tuple[str, str]:
    """Status and text of a command of this Python."""
    environment = {**os.environ, "PYTHONPATH": search}
    try:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=ROOT,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=limit,
        )
    except subprocess.TimeoutExpired as late:
        return "out of time", (late.stdout or b"").decode() if isinstance(late.stdout, bytes) else late.stdout or ""
    return ("done" if done.returncode == 0 else "failed"), done.stdout


def counts(path: Path) -> dict[str, int]:
    """How many tests ran, failed and were skipped."""
    suite = next(ElementTree.parse(path).getroot().iter("testsuite"))
    return {key: int(suite.attrib[key]) for key in ("tests", "failures", "errors", "skipped")}


def with_wheels(folder: Path) -> str:
    """Where Python shall look: the sources, and what is missing, installed from wheels that were brought along."""
    paths = [str(ROOT / "src"), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing and folder.is_dir():
        target = folder / "installed"
        command = ["pip", "install", "-q", "--no-index", "--find-links", str(folder), "--target", str(target), *missing]
        subprocess.run([sys.executable, "-m", *command], check=True)
        paths.append(str(target))
    return os.pathsep.join(paths)


def has_cuda(search: str) -> bool:
    """Whether torch sees a CUDA device."""
    status, _ = carried_out(["-c", "import torch; raise SystemExit(not torch.cuda.is_available())"], 120, search)
    return status == "done"


def without_gpu(kept: Path) -> str:
    """One sentence."""
    last = f"the figures of the last run on one are in {kept}" if kept.is_file() else "it was never run on one"
    return f"make gpu: torch sees no CUDA device here, so nothing was run; {last}."


if __name__ == "__main__":
    sys.exit(main())
