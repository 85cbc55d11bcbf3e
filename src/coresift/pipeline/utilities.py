"""The utilities of a run: which pairs are scored, and the kernels they end up in."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from coresift import files
from coresift.artefacts.store import Work
from coresift.budget import Budget
from coresift.data.pool import Example, Pool
from coresift.extract.embeddings import embedding_identity, text_of
from coresift.extract.icl import UtilityScorer
from coresift.extract.utilities import extract_utilities, measured_plan
from coresift.features.base import Features
from coresift.features.pairs import PairPlan, needs_pilot, plan_pairs
from coresift.features.utilities import EmbeddingSpec, UtilitySpec, other_set
from coresift.features.utility_store import Group, UtilityStore
from coresift.memory import fitting
from coresift.models.encoders import Encoder, load_encoder
from coresift.models.load import load_model, load_tokenizer, model_fingerprint
from coresift.pipeline.inputs import model_path
from coresift.pipeline.runs import Run
from coresift.pipeline.tuning import Say
from coresift.problem import Selector
from coresift.selectors import Delift

PLAN = "pairs.json"


def settled(run: Run, *, say: Say = print) -> Selector:
    """The method of a run; pairs left to `auto` are settled once, by a pilot where one is needed, and kept.

    Args:
        run: Begun.
        say: Told the reason of a plan that is made now.
    """
    method = run.recipe.selector
    if not isinstance(method, Delift) or method.pairs != "auto":
        return method
    spec = next((each for each in method.requires if isinstance(each, UtilitySpec) and each.part == "pool"), None)
    return method if spec is None else method.planned(_plan(run, method, spec, say))


def plan_facts(run: Run) -> dict[str, Any] | None:
    """The plan of pairs that a run was made with; None where the recipe says the pairs itself."""
    if getattr(run.recipe.selector, "pairs", None) != "auto":
        return None
    facts: dict[str, Any] | None = files.read_object(run.folder / "pairs" / PLAN).get("plan")
    return facts


def _plan(run: Run, method: Delift, spec: UtilitySpec, say: Say) -> PairPlan:
    pool, size = run.inputs.chosen_from, _largest_budget(run)
    piloted = needs_pilot(len(pool), method.most_pairs)
    own = encoder_identity(method.embedding) if piloted else {}
    depends = {**_identity(run), **own, "spec": spec.model_dump(mode="json"), "size": size, "most": method.most_pairs}

    def make(work: Work) -> None:
        if piloted:
            plan = _pilot(run, method, spec, size, work, say)
        else:
            plan = plan_pairs(len(pool), size, method.most_pairs, utilities=None, embeddings=None)
        files.write_json(work.folder / PLAN, {"plan": plan.facts})
        say(f"pairs: {plan.reason}")

    artefact = run.store.ensure(run.store.artefact("pairs", depends), make, say=say)
    run.uses.note("pairs", artefact, stage="pilot")
    return PairPlan(**files.read_object(artefact.folder / PLAN)["plan"])


def _pilot(run: Run, method: Delift, spec: UtilitySpec, size: int, work: Work, say: Say) -> PairPlan:
    began, encoder = time.perf_counter(), encoder_of(run, method.encoder)
    scorer = _scorer(run, spec, say)

    def embed(examples: Sequence[Example]) -> Tensor:
        return encoder.encode([text_of(each, method.text) for each in examples]).rows

    plan = measured_plan(scorer, embed, run.inputs.chosen_from, size, method.most_pairs, seed=method.pairs_seed)
    work.add(seconds=time.perf_counter() - began, tokens=scorer.tokens, flops=scorer.flops)
    return plan


def _largest_budget(run: Run) -> int:
    """In picks; of a number of tokens, about how many examples these are."""
    lengths = run.inputs.rows.lengths.tolist()

    def picks(budget: Budget) -> int:
        if budget.kind != "tokens":
            return budget.count(len(lengths))
        return min(len(lengths), max(1, round(budget.amount * len(lengths) / sum(lengths))))

    return max(picks(Budget.parse(each)) for each in run.recipe.budgets)


def encoder_of(run: Run, name: str) -> Encoder:
    """A sentence encoder, on the device of the run's model."""
    return load_encoder(model_path(name), device=run.recipe.model.device)


def encoder_identity(spec: EmbeddingSpec) -> dict[str, str]:
    """What embeddings depend on besides pool and spec."""
    return embedding_identity(spec.model_copy(update={"model": model_path(spec.model)}))


def _identity(run: Run) -> dict[str, Any]:
    """What every utility depends on besides its spec and the sets beside the pool."""
    return {
        **run.inputs.text_identity,
        "tokens": run.inputs.row_identity["tokens"],
        "model": model_fingerprint(run.inputs.base),
        "dtype": run.recipe.model.dtype,
    }


def _scorer(run: Run, spec: UtilitySpec, say: Say) -> UtilityScorer:
    model = load_model(run.inputs.base, dtype=run.recipe.model.dtype, device=run.recipe.model.device)
    return UtilityScorer(
        model,
        load_tokenizer(run.inputs.base),
        template=spec.template,
        metric=spec.metric,
        max_tokens=spec.max_tokens,
        batch_tokens=run.recipe.extract.pair_tokens,
        say=say,
    )


@fitting("Lower extract.pair_tokens (--set extract.pair_tokens=512).")
def utilities(
    run: Run, specs: Sequence[UtilitySpec], *, embeddings: Features, say: Say = print
) -> dict[UtilitySpec, UtilityStore]:
    """The kernels of `specs`, computed as far as nobody has.

    Args:
        run: Begun.
        specs: All with the same template, metric and longest input.
        embeddings: Where the candidates of specs that have some come from.
        say: Told what is done, and what could not be scored.
    """
    examples: dict[Group, Pool] = {"pool": run.inputs.chosen_from}
    for name, pool in run.inputs.others.items():
        examples[name] = pool
    scorers: list[UtilityScorer] = []

    def scorer(spec: UtilitySpec) -> UtilityScorer:
        if len(scorers) == 0:
            scorers.append(_scorer(run, spec, say))
        return scorers[0]

    def filled(spec: UtilitySpec) -> UtilityStore:
        identity = {**_store_identity(run, spec), "spec": spec.stored.model_dump(mode="json")}
        artefact = run.store.artefact("utilities", identity)

        def make(work: Work) -> None:
            store = _store(run, spec, embeddings, artefact.folder)
            cost = extract_utilities(scorer(spec), store, spec, examples, say=say, account=work.add)
            say(f"utilities: {store.array(spec).n_pairs:,} pairs, part {spec.part}, {cost.seconds:.0f} s")

        run.store.ensure(artefact, make, say=say)
        run.uses.note(f"features/{spec.stored.key}", artefact, stage="utilities")
        return _store(run, spec, embeddings, artefact.folder)

    return {spec: filled(spec) for spec in specs}


def _store_identity(run: Run, spec: UtilitySpec) -> dict[str, Any]:
    """A kernel depends on a set beside the pool only if its spec looks at it."""
    other = other_set(spec)
    beside: dict[str, str] = {} if other is None else {other: run.inputs.others[other].fingerprint}
    near = {} if spec.encoder is None else encoder_identity(spec.encoder)
    return {**_identity(run), **near, **beside}


def _store(run: Run, spec: UtilitySpec, embeddings: Features, folder: Path) -> UtilityStore:
    other = other_set(spec)
    beside = {} if other is None else {other: run.inputs.others[other]}
    return UtilityStore(
        run.store.root,
        identity=_store_identity(run, spec),
        pool=run.inputs.chosen_from.ids,
        target=beside["target"].ids if "target" in beside else (),
        existing=beside["existing"].ids if "existing" in beside else (),
        embeddings=embeddings,
        folders={spec.stored: folder},
    )


def unscored(stores: dict[UtilitySpec, UtilityStore]) -> dict[str, dict[str, int]]:
    """For every part how many pairs were scored, with a shortened example, and could not be scored and count as 0."""
    found: dict[str, dict[str, int]] = {}
    for spec, store in stores.items():
        array = store.array(spec)
        shortened, unscorable = array.counts()
        found[spec.part] = {"pairs": array.n_pairs, "shortened": shortened, "unscorable": unscorable}
    return found
