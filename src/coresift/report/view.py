"""Everything the report may know about a run, as plain values: no model, no tokenizer, no run folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Weighting = Literal["loss", "sampling", "none"]
Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class RunView:
    """A run, ready to be drawn. Lists that speak of the pool have one entry per pool example, in pool order.

    A piece that a run does not have stays at its default; its section then vanishes or says why it is empty.

    Attributes:
        name: name of the run.
        method: name of the selector, e.g. "brief", "random", "full".
        pool: `n`; `sources` (source -> count); `lengths` (response tokens per example; None where it was not
            rendered); `excluded` (list of {id, reason}); `duplicates` and `skipped` (counts); `fingerprint`; `notes`:
            sentences about what was not read or was mended; `copies`: position -> how many others hold the same.
        coreset: `indices` (pool positions in pick order), `ids`, `weights`, `diagnostics`, `provenance`.
            Diagnostics read here: alpha, alpha_mode, coefficients, effective_size, unrepresented, weight_sum, cover,
            certificate {error, lower_bound}, and B, A and e of KN, IF and SFT. B and A are sums over the candidates.
        settings: the resolved recipe, nested.
        origins: dotted setting -> where its value came from ("recipe", "--set", "default").
        source: where the values of settings without an origin came from; empty when not recorded.
        budget: the budget as it was asked for, e.g. "5%"; empty when not recorded.
        weighting: how the final training used the weights; None when no final model was trained here.
        trials: one {alpha, B_KN, B_IF} per alpha tried, in the order tried.
        spaces: "knowledge", "following" or "response" -> a 2-D projection `[n, 2]`; NaN rows are not drawn.
        texts: the text per pool example; may be made when it is asked for.
        ids: the id per pool example, shown on hover.
        example_sources: the source per pool example.
        costs: {stage, seconds, tokens, flops}; tokens and flops may be None.
        scores: {name, seeds, examples, tokens, seconds, accuracy, loss, spread}. `accuracy` and `loss` map
            knowledge / following / all (response for the loss) to a mean over seeds, or are None; `spread` is
            {"accuracy": {...}, "loss": {...}}: standard deviations over seeds, or None.
        test_examples: how many test examples stand behind the scores; None where nothing was scored.
        against: how rows of the score table differ from random: {metric, better, items, rows: name -> {value, error,
            verdict, resolvable}, unweighted: the same, of unweighted against weighted training, or None, item_errors:
            name -> standard error of the score over test items}; empty where it was not compared.
        nearest: per pool example, the place among the picks of the nearest one; -1 where that is not known.
        distances: per pool example, how far that is, in the unit of the method's distance; NaN where not known.
        scale: {spread: space -> mean distance of two random candidates; chosen, random: mean distance of a candidate
            to the nearest pick, and to the nearest of as many random examples}; empty where not measured.
        rounds: of training in rounds, one each: {round, arm, probabilities, examples, loss, utility_before, utility,
            spent, budget}; losses and utilities are means over the round's examples; arm and probabilities may be None.
        notes: sentences printed near the top as they are.

    Raises:
        ValueError: a list that speaks of the pool has neither 0 nor `n` entries.
    """

    name: str
    method: str
    pool: Row
    coreset: Row
    settings: Row = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    budget: str = ""
    weighting: Weighting | None = None
    trials: Sequence[Row] = ()
    spaces: Mapping[str, np.ndarray] = field(default_factory=dict)
    texts: Sequence[str] = ()
    ids: Sequence[str] = ()
    example_sources: Sequence[str] = ()
    costs: Sequence[Row] = ()
    scores: Sequence[Row] = ()
    test_examples: int | None = None
    against: Row = field(default_factory=dict)
    nearest: Sequence[int] = ()
    distances: Sequence[float] = ()
    scale: Row = field(default_factory=dict)
    rounds: Sequence[Row] = ()
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name, values in self._per_example().items():
            if len(values) not in (0, self.n):
                raise ValueError(
                    f"RunView: '{name}' has {len(values)} entries for a pool of {self.n};"
                    " give one per pool example, or none."
                )

    def _per_example(self) -> dict[str, Any]:
        lists: dict[str, Any] = {"texts": self.texts, "ids": self.ids, "example_sources": self.example_sources}
        lists |= {"nearest": self.nearest, "distances": self.distances}
        spaces = {f"spaces[{name!r}]": points for name, points in self.spaces.items()}
        return {**lists, **spaces, "pool.lengths": list(self.pool.get("lengths", ()))}

    @property
    def n(self) -> int:
        """Number of examples in the pool."""
        return int(self.pool["n"])

    @property
    def candidates(self) -> int:
        """Number of examples that could be chosen: the pool without over-long and held-out ones."""
        return int(self.provenance.get("n") or self.n)

    @property
    def indices(self) -> np.ndarray:
        """Pool positions of the picks, in pick order, int64 `[k]`."""
        return np.asarray(self.coreset["indices"], dtype=np.int64)

    @property
    def weights(self) -> np.ndarray:
        """Weights of the picks, float64 `[k]`."""
        return np.asarray(self.coreset["weights"], dtype=np.float64)

    @property
    def diagnostics(self) -> Row:
        """What the method said about its own answer; empty for methods that say nothing."""
        return self.coreset.get("diagnostics") or {}

    @property
    def provenance(self) -> Row:
        """Where the coreset came from."""
        return self.coreset.get("provenance") or {}
