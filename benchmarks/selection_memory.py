"""Peak memory and time of a whole BRIEF selection: `python benchmarks/selection_memory.py --n 20000 --dim 2048`.

The pool is synthetic: clusters in a low-rank subspace, heavy-tailed norms, two correlated spaces. Memory is the peak
resident size of this process, so the interpreter, torch and the features themselves are included.
"""

import argparse
import json
import resource
import time

import torch

from coresift.features.memory import InMemoryFeatures
from coresift.select import select
from coresift.selectors import Brief


def spaces(n: int, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two n x dim arrays, made block by block so that making them is not the peak."""
    source = torch.Generator().manual_seed(0)
    centres = torch.randn(max(2, n // 50), 64, generator=source)
    member = torch.randint(0, len(centres), (n,), generator=source)
    norms = torch.exp(0.6 * torch.randn(n, 1, generator=source))
    made = []
    for _ in range(2):
        lift = torch.randn(64, dim, generator=source)
        rows = torch.empty(n, dim)
        for start in range(0, n, 1000):
            part = slice(start, start + 1000)
            noise = torch.randn(rows[part].shape, generator=source)
            rows[part] = norms[part] * (centres[member[part]] @ lift + 4.0 * noise)
        made.append(rows)
    return made[0], made[1]


def main() -> None:
    """Run one selection and print what it took as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=20000)
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--budget", default="5%")
    asked = parser.parse_args()
    method = Brief(dim=asked.dim)
    knowledge, following = spaces(asked.n, asked.dim)
    features = InMemoryFeatures({method.knowledge: knowledge, method.following: following})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    began = time.perf_counter()
    chosen = select(method, features, asked.budget)
    print(
        json.dumps(
            {
                "n": asked.n,
                "dim": asked.dim,
                "picks": len(chosen),
                "threads": torch.get_num_threads(),
                "alphas": len(chosen.diagnostics["trials"]),
                "seconds": round(time.perf_counter() - began, 1),
                "peak_gib_before": round(before, 2),
                "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
                "alpha": round(chosen.diagnostics["alpha"], 4),
                "gap": round(chosen.diagnostics["certificate"]["gap"], 4),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
