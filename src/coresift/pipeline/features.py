"""What a method requires of every candidate, one function per kind of feature; what is there is left alone.

gradients       a warm-up, then one backward pass per loss     tuning, extract.run
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
from functools import partial
from typing import Any, Protocol

from torch import Tensor

from coresift.errors import FeatureError
from coresift.extract.columns import columns_identity, extract_column, extract_labels
from coresift.extract.embeddings import extract_embeddings, extract_similarities
from coresift.extract.losses import extract_lengths, extract_losses
from coresift.extract.ngrams import extract_importance
from coresift.extract.ratings import Rater, extract_ratings
from coresift.extract.run import GradientExtractor, extract_gradients
from coresift.extract.shards import Account
from coresift.features.base import Features
from coresift.features.columns import ColumnSpec, LabelSpec
from coresift.features.importance import ImportanceSpec
from coresift.features.losses import LengthSpec, LossSpec
from coresift.features.ratings import RatingSpec
from coresift.features.specs import FeatureSpec, GradientSpec
from coresift.features.store import FeatureStore
from coresift.features.utilities import EmbeddingSpec, SimilaritySpec, UtilitySpec
from coresift.features.utility_store import UtilityStore
from coresift.models.load import load_model, load_tokenizer, max_positions, model_fingerprint
from coresift.models.lora import load_adapter
from coresift.models.render import Renderer, render_pool
from coresift.pipeline.inputs import model_path
from coresift.pipeline.runs import Run
from coresift.pipeline.tuning import Say, warm_up, warmup
from coresift.pipeline.utilities import encoder_identity, encoder_of, unscored, utilities
from coresift.training.checkpoints import Checkpoint

LONGEST_QUESTION = 8192
"""Tokens of a rating question with its example, for models that do not say how many they take."""


class Store(Features, Protocol):
    """Features that say what they depend on."""

    identity: dict[str, Any]


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
    gradients = [spec for spec in specs if isinstance(spec, GradientSpec)]
    if gradients:
        held.hold(gradients, _gradients(run, gradients, say))
    losses = [spec for spec in specs if isinstance(spec, LossSpec)]
    for model, warm in dict.fromkeys((spec.model, spec.warmup) for spec in losses):
        same = [spec for spec in losses if (spec.model, spec.warmup) == (model, warm)]
        held.hold(same, _losses(run, same, say))
    kernels = [spec for spec in specs if isinstance(spec, UtilitySpec)]
    for spec in dict.fromkeys([*(each.encoder for each in kernels if each.encoder is not None), *specs]):
        if isinstance(spec, EmbeddingSpec):
            held.hold([spec], _embeddings(run, spec, say))
        elif isinstance(spec, SimilaritySpec):
            held.hold([spec], _similarities(run, spec, say))
        elif isinstance(spec, RatingSpec):
            held.hold([spec], _ratings(run, spec, say))
        elif isinstance(spec, LengthSpec):
            held.hold([spec], _lengths(run, spec))
        elif isinstance(spec, ColumnSpec):
            held.hold([spec], _column(run, spec))
        elif isinstance(spec, LabelSpec):
            held.hold([spec], _labels(run, spec))
        elif isinstance(spec, ImportanceSpec):
            held.hold([spec], _importance(run, spec))
    for kernel, store in utilities(run, kernels, embeddings=held, say=say).items():
        held.hold([kernel], store)
    return held


def gradient_store(run: Run, checkpoint: Checkpoint) -> FeatureStore:
    """The gradients of a run under its warm-up adapter, computed or not."""
    own = {"adapter": checkpoint.fingerprint, "start_token": run.inputs.renderer.start_token}
    return _store(run, {"model": model_fingerprint(run.inputs.base), "dtype": run.recipe.model.dtype, **own})


def _store(run: Run, own: dict[str, Any]) -> FeatureStore:
    """A store of the candidates whose rows also depend on `own`."""
    identity = {**run.inputs.fingerprints, **own}
    ids = run.inputs.chosen_from.ids
    return FeatureStore(run.folder / "features", identity=identity, ids=ids, shard_rows=run.recipe.extract.shard_rows)


def _gradients(run: Run, specs: Sequence[GradientSpec], say: Say) -> FeatureStore:
    checkpoint = warmup(run, say=say)
    assert checkpoint is not None and checkpoint.adapter is not None, "gradients are taken on a LoRA warm-up"
    store = gradient_store(run, checkpoint)
    if all(len(store.array(spec).missing()) == 0 for spec in specs):
        return store
    model = load_model(run.inputs.base, dtype=run.recipe.model.dtype, device=run.recipe.model.device)
    extractor = GradientExtractor(
        load_adapter(model, checkpoint.adapter, trainable=True),
        start_token=run.inputs.renderer.start_token,
        pad_token=run.inputs.renderer.pad_token,
        moments=checkpoint.moments() if any(spec.preconditioner != "none" for spec in specs) else None,
        batch_tokens=run.recipe.extract.batch_tokens,
    )
    cost = extract_gradients(
        extractor, run.inputs.rows, store, specs, say=say, account=partial(run.record, "gradients")
    )
    say(f"gradients: {store.n} examples, {len(specs)} losses, {cost.seconds:.0f} s")
    return store


def _embeddings(run: Run, spec: EmbeddingSpec, say: Say) -> FeatureStore:
    store = _store(run, encoder_identity(spec))
    if len(store.array(spec).missing()) > 0:
        encoder, account = encoder_of(run, spec.model), _account(run, "embeddings")
        extract_embeddings(encoder, run.inputs.chosen_from, store, spec, say=say, account=account)
        say(f"embeddings: {store.n} examples by {spec.model}")
    return store


def _similarities(run: Run, spec: SimilaritySpec, say: Say) -> FeatureStore:
    others = run.inputs.others[spec.part]
    store = _store(run, {**encoder_identity(spec.encoder), spec.part: others.fingerprint})
    if len(store.array(spec).missing()) > 0:
        encoder, account = encoder_of(run, spec.encoder.model), _account(run, "similarities")
        extract_similarities(encoder, run.inputs.chosen_from, others, store, spec, say=say, account=account)
        say(f"similarities: {store.n} examples with {len(others)} of the {spec.part} set, by {spec.encoder.model}")
    return store


def _account(run: Run, stage: str) -> Account:
    """Records seconds and tokens; the operations of an encoder are not counted."""

    def account(*, seconds: float, tokens: int, flops: float) -> None:
        run.record(stage, seconds=seconds, tokens=tokens)

    return account


def _ratings(run: Run, spec: RatingSpec, say: Say) -> FeatureStore:
    name = model_path(spec.model) if spec.model else run.inputs.base
    limit = max_positions(name) or LONGEST_QUESTION
    store = _store(run, {"model": model_fingerprint(name), "dtype": run.recipe.model.dtype, "longest_question": limit})
    if len(store.array(spec).missing()) > 0:
        model = load_model(name, dtype=run.recipe.model.dtype, device=run.recipe.model.device)
        rater = Rater(model, Renderer(load_tokenizer(name), max_tokens=limit), run.recipe.extract.batch_tokens)
        extract_ratings(rater, run.inputs.chosen_from, store, spec, account=partial(run.record, "ratings"))
        say(f"ratings: {store.n} examples, {len(spec.prompts)} questions each, by {spec.model or 'the base model'}")
    return store


def _losses(run: Run, specs: Sequence[LossSpec], say: Say) -> FeatureStore:
    """Losses of one model."""
    other = specs[0].model
    name = model_path(other) if other else run.inputs.base
    checkpoint = warm_up(run, say=say) if specs[0].warmup else None
    limit = max_positions(name) or LONGEST_QUESTION if other else run.inputs.max_tokens
    own = {"model": model_fingerprint(name), "dtype": run.recipe.model.dtype, "longest": limit}
    store = _store(run, own if checkpoint is None else {**own, "adapter": checkpoint.fingerprint})
    missing = [spec for spec in specs if len(store.array(spec).missing()) > 0]
    if not missing:
        return store
    renderer = Renderer(load_tokenizer(name), max_tokens=limit) if other else run.inputs.renderer
    rows = render_pool(run.inputs.chosen_from, renderer).rows if other else tuple(run.inputs.rows)
    base = load_model(name, dtype=run.recipe.model.dtype, device=run.recipe.model.device)
    adapter = None if checkpoint is None else checkpoint.adapter
    model = base if adapter is None else load_adapter(base, adapter)
    for spec in missing:
        extract_losses(
            model,
            rows,
            store,
            spec,
            start_token=renderer.start_token,
            pad_token=renderer.pad_token,
            batch_tokens=run.recipe.extract.batch_tokens,
            account=partial(run.record, "losses"),
        )
    kinds, read = ", ".join(spec.loss for spec in specs), len(rows) - rows.count(None)
    say(f"losses: {read} of {store.n} examples ({kinds}), by {other or 'the base model'}")
    return store


def _lengths(run: Run, spec: LengthSpec) -> FeatureStore:
    store = _store(run, {})
    extract_lengths(run.inputs.rows, store, spec)
    return store


def _importance(run: Run, spec: ImportanceSpec) -> FeatureStore:
    target = run.inputs.others[spec.part]
    store = _store(run, {spec.part: target.fingerprint})
    extract_importance(run.inputs.chosen_from, target, store, spec, account=_account(run, "importance"))
    return store


def _column(run: Run, spec: ColumnSpec) -> FeatureStore:
    pool = run.inputs.chosen_from
    store = _store(run, columns_identity(pool, spec.column))
    extract_column(pool, store, spec)
    return store


def _labels(run: Run, spec: LabelSpec) -> FeatureStore:
    pool, by = run.inputs.chosen_from, encoder_identity(EmbeddingSpec(model=spec.encoder)) if spec.encoder else {}
    store = _store(run, {**columns_identity(pool, spec.column), **by})
    encoder = encoder_of(run, spec.encoder) if spec.encoder else None
    extract_labels(pool, store, spec, encoder, account=_account(run, "labels"))
    return store
