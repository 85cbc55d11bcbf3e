"""What a method requires of every candidate, one function per kind of feature; what is there is left alone.

gradients       a warm-up, unless of the untuned model         pipeline.gradients
targets         gradients, hidden states or words, compared    pipeline.targets
embeddings      a sentence encoder                             extract.embeddings
similarities    the same, with a second set of examples        extract.embeddings
ratings         a model that rates                             extract.ratings
losses          one forward pass of a model                    extract.losses
lengths         the tokens of the responses, no model          extract.losses
columns         numbers in a column of the rows                extract.columns
labels          a column of labels, and who embeds them        extract.columns
importance      n-grams of the pool and of a target, no model  extract.ngrams
utilities       the base model, with examples in its context   pipeline.utilities
"""

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from coresift.errors import FeatureError
from coresift.extract.columns import columns_identity, extract_column, extract_labels
from coresift.extract.embeddings import extract_embeddings, extract_similarities
from coresift.extract.losses import extract_lengths, extract_losses
from coresift.extract.ngrams import extract_importance
from coresift.extract.ratings import Rater, extract_ratings
from coresift.extract.shards import Account
from coresift.features.columns import ColumnSpec, LabelSpec
from coresift.features.importance import ImportanceSpec
from coresift.features.losses import LengthSpec, LossSpec
from coresift.features.ratings import RatingSpec
from coresift.features.specs import FeatureSpec, GradientSpec
from coresift.features.store import FeatureStore
from coresift.features.targets import TargetSpec
from coresift.features.utilities import EmbeddingSpec, SimilaritySpec, UtilitySpec
from coresift.features.utility_store import UtilityStore
from coresift.memory import fitting
from coresift.models.load import load_model, load_tokenizer, max_positions, model_fingerprint
from coresift.models.lora import load_adapter
from coresift.models.render import Renderer
from coresift.models.rendered_pool import render_pool
from coresift.pipeline.gradients import gradients
from coresift.pipeline.inputs import model_path
from coresift.pipeline.opened import Store, filled, without_flops
from coresift.pipeline.runs import Run
from coresift.pipeline.targets import similarities
from coresift.pipeline.tuning import Say, warm_up
from coresift.pipeline.utilities import encoder_identity, encoder_of, unscored, utilities

LONGEST_QUESTION = 8192
"""Tokens of a rating question with its example, for models that do not say how many they take."""


class RunFeatures:
    """Features of one run, each in the store that was made for it; satisfies the `Features` protocol.

    Args:
        n: Number of candidates.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self._stores: dict[FeatureSpec, Store] = {}

    def hold(self, specs: Iterable[FeatureSpec], store: Store) -> None:
        """From now on `specs` are read from `store`."""
        self._stores.update(dict.fromkeys((spec.stored for spec in specs), store))

    @property
    def identity(self) -> dict[str, Any]:
        """What all arrays depend on."""
        return {spec.key: store.identity for spec, store in self._stores.items()}

    @property
    def facts(self) -> dict[str, Any]:
        """What a coreset should say about its features: pairs whose utility was not measured as asked."""
        kernels = {
            spec: store
            for spec, store in self._stores.items()
            if isinstance(spec, UtilitySpec) and isinstance(store, UtilityStore)
        }
        return {"utilities": unscored(kernels)} if kernels else {}

    def __getitem__(self, spec: FeatureSpec) -> Tensor:
        """The array of `spec`. Raises FeatureError if the method did not say that it requires it."""
        if spec.stored not in self._stores:
            held = ", ".join(sorted(each.key for each in self._stores))
            raise FeatureError(f"no array for {spec.key}. Held: {held}. Name it among what the method requires.")
        return self._stores[spec.stored][spec]


@fitting("Lower extract.batch_tokens (--set extract.batch_tokens=1024).")
def fill(run: Run, specs: Sequence[FeatureSpec], *, say: Say = print) -> RunFeatures:
    """Compute what is missing of the features of all candidates.

    Args:
        run: Begun.
        specs: What the method requires.
        say: Told what is done.

    Raises:
        FeatureError: If a folder holds features of something else; both sides are printed.
        Other errors of the extraction, with the next step.
    """
    held = RunFeatures(len(run.inputs.rows))
    for gradient, its in gradients(run, [spec for spec in specs if isinstance(spec, GradientSpec)], say=say).items():
        held.hold([gradient], its)
    for target, array in similarities(run, [spec for spec in specs if isinstance(spec, TargetSpec)], say=say).items():
        held.hold([target], array)
    kernels = [spec for spec in specs if isinstance(spec, UtilitySpec)]
    for spec in dict.fromkeys([*(each.encoder for each in kernels if each.encoder is not None), *specs]):
        if isinstance(spec, EmbeddingSpec):
            held.hold([spec], _embeddings(run, spec, say))
        elif isinstance(spec, SimilaritySpec):
            held.hold([spec], _similarities(run, spec, say))
        elif isinstance(spec, RatingSpec):
            held.hold([spec], _ratings(run, spec, say))
        elif isinstance(spec, LossSpec):
            held.hold([spec], _losses(run, spec, say))
        elif isinstance(spec, LengthSpec):
            held.hold([spec], _lengths(run, spec, say))
        elif isinstance(spec, ColumnSpec):
            held.hold([spec], _column(run, spec, say))
        elif isinstance(spec, LabelSpec):
            held.hold([spec], _labels(run, spec, say))
        elif isinstance(spec, ImportanceSpec):
            held.hold([spec], _importance(run, spec, say))
    for kernel, store in utilities(run, kernels, embeddings=held, say=say).items():
        held.hold([kernel], store)
    return held


def _embeddings(run: Run, spec: EmbeddingSpec, say: Say) -> FeatureStore:
    def compute(store: FeatureStore, account: Account) -> None:
        encoder, pool = encoder_of(run, spec.model), run.inputs.chosen_from
        extract_embeddings(encoder, pool, store, spec, say=say, account=without_flops(account))
        say(f"embeddings: {store.n} examples by {spec.model}")

    return filled(run, spec, "embeddings", encoder_identity(spec), compute, say)


def _similarities(run: Run, spec: SimilaritySpec, say: Say) -> FeatureStore:
    others = run.inputs.others[spec.part]

    def compute(store: FeatureStore, account: Account) -> None:
        encoder, pool = encoder_of(run, spec.encoder.model), run.inputs.chosen_from
        extract_similarities(encoder, pool, others, store, spec, say=say, account=without_flops(account))
        say(f"similarities: {store.n} examples with {len(others)} of the {spec.part} set, by {spec.encoder.model}")

    own = {**encoder_identity(spec.encoder), spec.part: others.fingerprint}
    return filled(run, spec, "similarities", own, compute, say)


def _ratings(run: Run, spec: RatingSpec, say: Say) -> FeatureStore:
    name = model_path(spec.model) if spec.model else run.inputs.base
    limit = max_positions(name) or LONGEST_QUESTION

    def compute(store: FeatureStore, account: Account) -> None:
        model = load_model(name, dtype=run.recipe.model.dtype, device=run.recipe.model.device)
        rater = Rater(model, Renderer(load_tokenizer(name), max_tokens=limit), run.recipe.extract.forward_tokens)
        extract_ratings(rater, run.inputs.chosen_from, store, spec, account=account)
        say(f"ratings: {store.n} examples, {len(spec.prompts)} questions each, by {spec.model or 'the base model'}")

    own = {"model": model_fingerprint(name), "dtype": run.recipe.model.dtype, "longest_question": limit}
    return filled(run, spec, "ratings", own, compute, say)


def _losses(run: Run, spec: LossSpec, say: Say) -> FeatureStore:
    """Losses of the base model, of the base model after the warm-up, or of another model."""
    name = model_path(spec.model) if spec.model else run.inputs.base
    adapter = warm_up(run, say=say).adapter if spec.warmup else None
    limit = (max_positions(name) or LONGEST_QUESTION) if spec.model else run.inputs.max_tokens

    def compute(store: FeatureStore, account: Account) -> None:
        renderer = Renderer(load_tokenizer(name), max_tokens=limit) if spec.model else run.inputs.renderer
        rows = render_pool(run.inputs.chosen_from, renderer).rows if spec.model else tuple(run.inputs.rows)
        base = load_model(name, dtype=run.recipe.model.dtype, device=run.recipe.model.device)
        extract_losses(
            base if adapter is None else load_adapter(base, adapter),
            rows,
            store,
            spec,
            start_token=renderer.start_token,
            pad_token=renderer.pad_token,
            batch_tokens=run.recipe.extract.forward_tokens,
            account=account,
        )
        read = len(rows) - rows.count(None)
        say(f"losses: {read} of {store.n} examples ({spec.loss}), by {spec.model or 'the base model'}")

    own = {"model": model_fingerprint(name), "dtype": run.recipe.model.dtype, "longest": limit}
    own |= {} if adapter is None else {"adapter": warm_up(run, say=say).fingerprint}
    own |= {} if spec.model else {"tokens": run.inputs.row_identity["tokens"]}
    return filled(run, spec, "losses", own, compute, say)


def _lengths(run: Run, spec: LengthSpec, say: Say) -> FeatureStore:
    own = {"tokens": run.inputs.row_identity["tokens"]}
    return filled(run, spec, "lengths", own, lambda store, account: extract_lengths(run.inputs.rows, store, spec), say)


def _importance(run: Run, spec: ImportanceSpec, say: Say) -> FeatureStore:
    target = run.inputs.others[spec.part]

    def compute(store: FeatureStore, account: Account) -> None:
        extract_importance(run.inputs.chosen_from, target, store, spec, account=without_flops(account))

    return filled(run, spec, "importance", {spec.part: target.fingerprint}, compute, say)


def _column(run: Run, spec: ColumnSpec, say: Say) -> FeatureStore:
    pool = run.inputs.chosen_from
    own = columns_identity(pool, spec.column)
    return filled(run, spec, "columns", own, lambda store, account: extract_column(pool, store, spec), say)


def _labels(run: Run, spec: LabelSpec, say: Say) -> FeatureStore:
    pool, by = run.inputs.chosen_from, encoder_identity(EmbeddingSpec(model=spec.encoder)) if spec.encoder else {}

    def compute(store: FeatureStore, account: Account) -> None:
        encoder = encoder_of(run, spec.encoder) if spec.encoder else None
        extract_labels(pool, store, spec, encoder, account=without_flops(account))

    return filled(run, spec, "labels", {**columns_identity(pool, spec.column), **by}, compute, say)
