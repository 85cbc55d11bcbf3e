"""The machine under a measurement, and how fast it multiplies matrices: what seconds are to be read against."""

import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from coresift.bench.timing import finish
from coresift.submodular.distances.products import products

PRODUCT = {"cpu": 1024, "cuda": 8192}
"""Side of the square matrices multiplied."""
LONG_ENOUGH = 0.3
"""Seconds of products that are tried; the quickest counts."""


def facts(device: str = "cpu") -> dict[str, Any]:
    """Plain facts of this process and machine; `device` is `cpu` or `cuda`."""
    found = {
        "processor": _processor(),
        "cpus": _cpus(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": device,
    }
    if device != "cpu":
        found["accelerator"] = torch.cuda.get_device_name()
        found["float32_precision"] = torch.get_float32_matmul_precision()
    return {**found, "float32_gflops": round(rate(device), 1)}


def rate(device: str = "cpu", dtype: str = "float32") -> float:
    """Measured rate of products, 10^9 operations per second; in float32 those that distances are made of."""
    side = PRODUCT["cpu" if device == "cpu" else "cuda"]
    kind = getattr(torch, dtype)
    left, right = (torch.ones(side, side, device=device, dtype=kind) for _ in range(2))
    multiply = products if kind is torch.float32 else torch.matmul
    quickest, spent = float("inf"), 0.0
    multiply(left, right)
    while spent < LONG_ENOUGH:
        finish()
        began = time.perf_counter()
        multiply(left, right)
        finish()
        seconds = time.perf_counter() - began
        quickest, spent = min(quickest, seconds), spent + seconds
    return 2.0 * side**3 / quickest / 1e9


def show(found: dict[str, Any]) -> str:
    """One line."""
    where = f"{found['processor']}, {found['cpus']} CPUs, {found['threads']} threads"
    if "accelerator" in found:
        where += f", {found['accelerator']} (float32 precision {found['float32_precision']})"
    return f"{where}, torch {found['torch']}, float32 product {found['float32_gflops']:g} GFLOP/s"


def commit_of(folder: Path) -> str | None:
    """The commit that a folder is of, `-dirty` behind it where files differ; None where there is no clone or no git."""
    asked = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


def peak_gib() -> float:
    """Largest resident size of this process so far, GiB.

    Linux is asked for the high-water mark of this program: `ru_maxrss` also counts the process that started it.
    """
    status = Path("/proc/self/status")
    for line in status.read_text(encoding="utf-8").splitlines() if status.is_file() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 2**20
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (2**30 if sys.platform == "darwin" else 2**20)


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    for line in listing.read_text(encoding="utf-8").splitlines() if listing.is_file() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
