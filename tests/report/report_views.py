"""Made-up runs for the report's tests: one with everything, one with almost nothing."""

from typing import Any

import numpy as np

from coresift.report.view import RunView

FAMILIES = [
    *(
        "capital",
        "currency",
        "river",
        "founder",
        "reverse",
        "count letters",
        "sort words",
        "upper case",
        "first letter",
    ),
    *("sum", "list of three", "yes or no", "json object", "bullet points", "repeat", "translate", "author"),
    *("river mouth", "population", "anagram", "riddle", "roman numerals"),
]
ALPHAS = (0.381966, 0.618034, 0.763932, 0.527864, 0.673762, 0.583592, 0.63932, 0.604878, 0.626165, 0.613009, 0.609903)


def full_view(n: int = 4000, k: int = 200, *, seed: int = 0, **changes: Any) -> RunView:
    """A realistic run: skewed sources, heavy-tailed gradients and weights, a golden-section search, five stages."""
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, len(FAMILIES) + 1) ** 1.1
    family = rng.choice(len(FAMILIES), n, p=share / share.sum())
    sources = [FAMILIES[f] for f in family]
    lengths = np.maximum(2, rng.lognormal(2.4 + 0.08 * (family % 7), 0.7)).astype(int)
    spaces = {}
    for name in ("knowledge", "following"):
        centres = rng.normal(0, 6, (len(FAMILIES), 2))
        spaces[name] = (centres[family] + rng.normal(0, 1.1, (n, 2))) * rng.lognormal(0, 0.55, (n, 1))
    picks = rng.choice(n, k, replace=False)
    extra = rng.lognormal(0, 1.4, k)
    weights = np.ones(k) + rng.multinomial(n - k, extra / extra.sum())
    trials = [
        {"alpha": a, "B_KN": 9000 + 5200 * a**2 + 40 * rng.normal(), "B_IF": 13500 - 6900 * a + 40 * rng.normal()}
        for a in ALPHAS
    ]
    best = min(trials, key=lambda t: t["B_KN"] + t["B_IF"])
    ids = [f"e{i:05d}-{rng.integers(16**8):08x}" for i in range(n)]
    spread = {"accuracy": {"knowledge": 0.021, "following": 0.017, "all": 0.014}, "loss": {"response": 0.012}}
    values: dict[str, Any] = {
        "name": "demo",
        "method": "brief",
        "budget": "5%",
        "weighting": "loss",
        "pool": {
            "n": n,
            "sources": {s: sources.count(s) for s in FAMILIES},
            "lengths": lengths.tolist(),
            "excluded": [{"id": f"long-{i}", "reason": "needs 311 tokens, max_tokens is 256"} for i in range(3)],
            "duplicates": 112,
            "skipped": 2,
            "fingerprint": "9f2c51d07b6e4a18",
        },
        "coreset": {
            "indices": picks.tolist(),
            "ids": [ids[p] for p in picks],
            "weights": weights.tolist(),
            "diagnostics": {
                "alpha": best["alpha"], "alpha_mode": "searched", "B_KN": best["B_KN"], "B_IF": best["B_IF"],
                "A_KN": best["B_KN"] * 1.21, "A_IF": best["B_IF"] * 1.13,
                "e_KN": 1480.2, "e_IF": 2210.7, "e_SFT": 1904.4,
                "effective_size": float(weights.sum() ** 2 / (weights**2).sum()),
                "certificate": {"error": 10120.4, "lower_bound": 9288.1, "gap": 1 - 9288.1 / 10120.4},
            },
            "provenance": {"method": "brief", "seed": 0, "version": "0.1.0", "seconds": 3.1,
                           "fingerprints": {"pool": "9f2c51d07b6e4a18", "model": "77aa03"}},
        },
        "settings": {"pool": {"path": "world", "max_tokens": 256}, "select": {"name": "brief", "precision": 0.005},
                     "train": {"epochs": 4, "weighting": "loss", "lora": {"rank": 16, "alpha": 64}}},
        "origins": {"pool.path": "recipe", "train.epochs": "--set"},
        "trials": trials,
        "spaces": spaces,
        "ids": ids,
        "texts": [f"What is the {s} of Ordavia {i}?\nIt is Velmora, said plainly." for i, s in enumerate(sources)],
        "example_sources": sources,
        "costs": [
            {"stage": "warm-up", "seconds": 14.2, "tokens": 10_400, "flops": 2.1e11},
            {"stage": "gradients", "seconds": 61.0, "tokens": 410_000, "flops": 8.4e12},
            {"stage": "selection", "seconds": 3.1, "tokens": None, "flops": None},
            {"stage": "final training", "seconds": 52.9, "tokens": 43_000, "flops": 9.2e11},
            {"stage": "evaluation", "seconds": 21.0, "tokens": 31_000, "flops": 2.3e11},
        ],
        "scores": [
            {"name": "none (base model)", "seeds": 1, "examples": 0, "tokens": 0, "seconds": 0.0,
             "accuracy": {"knowledge": 0.04, "following": 0.02, "all": 0.03},
             "loss": {"response": 3.412, "knowledge": 3.9, "following": -0.488}, "spread": None},
            {"name": "random", "seeds": 3, "examples": k, "tokens": 41_800, "seconds": 51.2,
             "accuracy": {"knowledge": 0.412, "following": 0.486, "all": 0.449},
             "loss": {"response": 0.913, "knowledge": 3.402, "following": -2.489}, "spread": spread},
            {"name": "brief", "seeds": [0, 1, 2], "examples": k, "tokens": 43_000, "seconds": 52.9,
             "accuracy": {"knowledge": 0.431, "following": 0.522, "all": 0.476},
             "loss": {"response": 0.861, "knowledge": 3.377, "following": -2.516}, "spread": spread},
            {"name": "full", "seeds": 1, "examples": n, "tokens": 845_000, "seconds": 1012.0,
             "accuracy": {"knowledge": 0.802, "following": 0.871, "all": 0.837},
             "loss": {"response": 0.334, "knowledge": 3.120, "following": -2.786}, "spread": None},
        ],
    }  # fmt: skip
    return RunView(**{**values, **changes})


def bare_view(**changes: Any) -> RunView:
    """A random selection and nothing else: no gradients, no search, no training, no texts."""
    values: dict[str, Any] = {"name": "bare", "method": "random", "pool": {"n": 10},
              "coreset": {"indices": [3, 1], "ids": ["a", "b"], "weights": [1.0, 1.0]}}  # fmt: skip
    return RunView(**{**values, **changes})
