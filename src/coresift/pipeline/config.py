"""A recipe: everything one run depends on, checked before anything is done."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, model_validator

from coresift.budget import Budget, separate
from coresift.data.examples import Join
from coresift.data.formats import FORMATS
from coresift.errors import SettingsError
from coresift.evaluation.judge import Judge
from coresift.evaluation.settings import InContext, Metric
from coresift.features.specs import FeatureSpec
from coresift.features.targets import TargetSpec
from coresift.features.utilities import other_set
from coresift.memory import parse_memory
from coresift.pipeline.grid_settings import Grid
from coresift.pipeline.methods import METHODS, Method, with_target
from coresift.pipeline.online_settings import OnlineSettings
from coresift.problem import Selector
from coresift.settings import PathText, Settings, in_words
from coresift.training.settings import TrainSettings

Share = Annotated[int, Field(ge=0, strict=True)] | Annotated[float, Field(ge=0, lt=1)]
"""A count (integer) or a fraction (float below 1) of the pool."""
BATCH_TOKENS = 4096


def _partial(settings: type[Settings]) -> dict[str, Any]:
    """The schema of some of a section's settings: their names; the values are checked once they are merged."""
    return {"type": "object", "properties": dict.fromkeys(settings.model_fields, {}), "additionalProperties": False}


class FileSettings(Settings):
    """Where examples come from."""

    path: PathText | list[PathText] = Field(
        description="File, pattern with *, folder, Hub id, or `world`; NAME[:1000] for a part; a list for several."
    )
    format: str = Field("auto", description=f"auto (by the columns), {', '.join(FORMATS)}.")
    columns: dict[str, str] = Field({}, description="Explicit role -> column, overriding recognition.")
    split: str = Field("train", description="Split of a folder or data set; NAME[:1000] for a part.")
    join: Join = Field("blank line", description="Between an instruction and its input: blank line or newline.")
    skip_bad_rows: bool = Field(False, description="Leave rows with a fault out and list them.")
    strict: bool = Field(
        False,
        description="Refuse conversations that end with the user, begin with the assistant, or have one speaker twice.",
    )

    @property
    def named(self) -> str:
        """The path, or all of them, as messages call it."""
        return self.path if isinstance(self.path, str) else ", ".join(self.path)


class SetSettings(FileSettings):
    """Examples beside the pool that a method looks at; `world` is another draw of the embedded pool."""

    sources: list[str] = Field([], description="Only examples of these sources; all when empty.")
    examples: int | None = Field(None, ge=1, description="Only so many of them, at random.")


class TargetSettings(SetSettings):
    """Examples of what the model shall be good at."""

    subtask: str | None = Field(
        None,
        description="Column that names the sub-task of each example; default `subtask` if there is one, else source.",
    )


class NearDuplicateSettings(Settings):
    """Examples whose words in a row are mostly those of an earlier one."""

    drop: bool = Field(True, description="Whether they may not be chosen; false: they are only counted.")
    threshold: float = Field(0.8, gt=0, le=1, description="Least Jaccard similarity of their runs of words.")
    words: int = Field(3, ge=1, description="Words in a run.")


class DecontaminateSettings(Settings):
    """Examples that hold a piece of what models are scored on may not be chosen."""

    against: Literal["test"] = "test"
    ngram: int = Field(
        13, ge=1, description="Words in a row that both hold; equal questions count whatever their length."
    )


class PoolSettings(FileSettings):
    """Where the pool comes from and which part of it may be chosen."""

    max_tokens: int | None = Field(
        None,
        ge=8,
        description="Longer conversations are excluded, never cut; null: what the model takes, 2048 at most.",
    )
    held_out: Share = Field(0.02, description="Kept out of the pool for scoring: a count or a fraction; 0 for none.")
    examples: int | None = Field(None, ge=1, description="Only so many of the rest may be chosen, drawn at random.")
    deduplicate: Literal["keep", "drop"] = Field("keep", description="What becomes of exact copies of an example.")
    near_duplicates: NearDuplicateSettings | None = Field(None, description="Look for near copies before selection.")
    decontaminate: DecontaminateSettings | None = Field(None, description="Look for pieces of the test.")


class ModelSettings(Settings):
    """The base model."""

    path: PathText = Field(description="Local folder, Hub id, or `world`.")
    template: PathText | None = Field(
        None,
        description="How conversations are written, if not by the tokenizer's own chat template: plain, chatml, "
        "alpaca, the name of one of its templates, or a file.jinja.",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16", "float64"] = Field("auto", description="auto: as stored.")
    device: str = Field("auto", description="cpu, cuda, or auto (cuda where there is one).")


class WarmupSettings(Settings):
    """Training on a random part of the pool, always LoRA: the gradient features live on its adapter."""

    fraction: float = Field(0.05, gt=0, le=1)
    train: Annotated[dict[str, Any], WithJsonSchema(_partial(TrainSettings))] = Field(
        {}, description="What differs from `train`, one epoch, LoRA, unweighted."
    )
    least_steps: int = Field(
        0, ge=0, description="Take a smaller batch where a small pool would give fewer optimizer steps; 0: as set."
    )


class ExtractSettings(Settings):
    """How features are computed; no value changes them beyond rounding."""

    batch_tokens: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        BATCH_TOKENS, description="Examples x padded length of one pass; auto: for gradients what fits, else 4096."
    )
    pair_tokens: int = Field(2048, ge=1, description="Rows x padded length of one forward pass of utilities.")
    shard_rows: int = Field(256, ge=1, description="Examples per file of the feature store: what a crash can cost.")
    keep: Literal["features", "scores"] = Field(
        "features",
        description="For methods with a target: features of the pool, for further targets, or similarities alone.",
    )

    @property
    def forward_tokens(self) -> int:
        """Of passes whose batches are not fitted to the memory there is."""
        return BATCH_TOKENS if self.batch_tokens == "auto" else self.batch_tokens


class EvaluateSettings(Settings):
    """What trained models are scored on: losses always, exact answers when asked."""

    test: PathText | None = Field(None, description="A pool of test examples, or `world`; default: the held-out part.")
    second: PathText | None = Field(
        None,
        description="Another test for comparisons, such as one drawn like the pool; `world` for that of the world.",
    )
    answers: bool = Field(False, description="Generate an answer to every test prompt and compare it exactly.")
    max_new_tokens: int = Field(64, ge=1)
    batch_tokens: int = Field(8192, ge=1)
    metrics: list[Metric] = Field([], description="What generated answers are scored by: rouge1, similarity, judge.")
    encoder: PathText | None = Field(None, description="Sentence encoder of `similarity` and of examples in context.")
    judge: Judge | None = Field(None, description="An OpenAI-compatible endpoint, for the metric `judge`.")
    in_context: InContext | None = Field(None, description="Also ask the untuned model, with examples of each subset.")

    @model_validator(mode="after")
    def _metrics_have_what_they_need(self) -> "EvaluateSettings":
        for metric, needed, place in (
            ("similarity", self.encoder, "evaluate.encoder=NAME"),
            ("judge", self.judge, "evaluate.judge={url: URL, model: NAME}"),
        ):
            if metric in self.metrics and needed is None:
                raise SettingsError(
                    f"evaluate.metrics holds {metric!r}, but the recipe does not say by what. Set {place}, or leave "
                    "the metric out."
                )
        return self


class CompareSettings(Settings):
    """Subsets trained and scored like the coreset, in the same run."""

    base: bool = Field(True, description="Score the untuned model.")
    random: int = Field(0, ge=0, description="Random subsets of the same budget, one seed each.")
    balanced_random: int = Field(
        0, ge=0, description="Random subsets with equal shares of the sources, trained on without weights."
    )
    full: bool = Field(False, description="The whole pool.")
    unweighted: bool = Field(False, description="The coreset itself, trained on without its weights.")


class Recipe(Settings):
    """One run, complete: the same recipe on the same files gives the same coreset."""

    model_config = ConfigDict(json_schema_extra={"patternProperties": {"^x-": {}}})
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Names the run folder, runs/NAME.")
    out: PathText | None = Field(None, description="Run folder; default runs/NAME.")
    store: PathText | None = Field(
        None,
        description="Folder of what runs share: tokens, features, models; default $CORESIFT_STORE, else .store beside "
        "the run folder.",
    )
    seed: int = Field(0, ge=0, description="Names everything that is drawn at random.")
    training_seed: int = Field(0, ge=0, description="Names another order and start of the same final trainings.")
    test_seed: int | None = Field(None, ge=0, description="Names the held-out part of the pool; default: as `seed`.")
    pool: PoolSettings
    target: TargetSettings | None = Field(
        None, description="What the model shall be good at, for methods with a target and DELIFT's stage task."
    )
    existing: SetSettings | None = Field(None, description="What is learned already, for DELIFT's stage continual.")
    model: ModelSettings
    warmup: WarmupSettings = WarmupSettings()
    extract: ExtractSettings = ExtractSettings()
    method: Method = Field(default_factory=lambda: METHODS["brief"](), description="Selection method and settings.")
    online: OnlineSettings = Field(
        OnlineSettings(), description="Training in rounds, for methods that choose as it goes."
    )
    budget: Annotated[int | float | str | list[int | float | str], BeforeValidator(separate)] = Field(
        0.05,
        description='A count, a fraction, "5%", or "20000 tokens"; a list, or several with commas: nested coresets.',
    )
    memory: str = Field(
        "auto", description="What selecting may use beyond the features, such as 3GB; auto: most of what is free."
    )
    train: TrainSettings | None = Field(None, description="Final training; null: only select.")
    merge: bool = Field(False, description="Also leave the trained adapter merged into a full model.")
    evaluate: EvaluateSettings = EvaluateSettings()
    compare: CompareSettings = CompareSettings()
    grid: Grid | None = Field(None, description="What `coresift compare` compares; other verbs do not look at it.")

    @model_validator(mode="after")
    def _weights_to_leave_out(self) -> "Recipe":
        if self.compare.unweighted and self.train is not None and self.train.weighting == "none":
            raise SettingsError(
                "compare.unweighted is set, but train.weighting is 'none': both would be the same training. "
                "Set train.weighting to loss or sampling, or leave compare.unweighted out."
            )
        return self

    @model_validator(mode="after")
    def _understood_amounts(self) -> "Recipe":
        if len(self.budgets) == 0:
            raise SettingsError("budget is an empty list. Give at least one count, fraction or number of tokens.")
        for budget in self.budgets:
            Budget.parse(budget)
        parse_memory(self.memory)
        return self

    @model_validator(mode="after")
    def _sets_that_the_method_looks_at(self) -> "Recipe":
        wanted = {other_set(spec) for spec in self.required}
        stage = getattr(self.selector, "stage", None)
        who = self.selector.name if stage is None else f"{self.selector.name} in stage {stage}"
        for name, its_stage in (("target", "task"), ("existing", "continual")):
            given = getattr(self, name) is not None
            if given and name not in wanted:
                also = f" So do {', '.join(with_target())}." if name == "target" else ""
                raise SettingsError(
                    f"{name} is set, but {who} does not look at it. DELIFT does in stage {its_stage}: "
                    f"set method.name=delift and method.stage={its_stage}, or leave {name} out.{also}"
                )
            if not given and name in wanted:
                other = "method" if stage is None else "stage"
                raise SettingsError(
                    f"{name} is missing: {who} looks at a second set of examples. Set {name}.path=FILE "
                    f"(or --{name} FILE), or take another {other}."
                )
        return self

    @model_validator(mode="after")
    def _scores_without_features(self) -> "Recipe":
        alone = len(self.required) > 0 and all(isinstance(spec, TargetSpec) for spec in self.required)
        if self.extract.keep == "scores" and not alone:
            raise SettingsError(
                f"extract.keep is 'scores', but {self.selector.name} looks at more than similarities to a target. "
                f"Leave it out, or take a method that does not: {', '.join(with_target(TargetSpec))}."
            )
        return self

    @model_validator(mode="after")
    def _warm_up_on_adapters(self) -> "Recipe":
        try:
            tuning = self.warmup_train.tuning
        except ValidationError as error:
            raise SettingsError(in_words(error, TrainSettings, "warmup.train.")) from None
        if tuning != "lora":
            raise SettingsError(
                f"warmup.train.tuning is {tuning!r}: the warm-up is always LoRA, since features are taken on its "
                "adapter. Leave it out or set it to lora."
            )
        if self._looks_at_epochs and not self.warmup_train.keep_epochs:
            raise SettingsError(
                f"warmup.train.keep_epochs is false, but {self.selector.name} looks at the end of every epoch. Leave "
                "it out, or set method.checkpoints=last."
            )
        return self

    @model_validator(mode="after")
    def _comparisons_of_something_else(self) -> "Recipe":
        name = self.selector.name
        setting = name.replace("-", "_")
        if name in ("random", "balanced-random", "full") and getattr(self.compare, setting) > 0:
            raise SettingsError(
                f"compare.{setting} is set, but method.name is {name!r}: both would be the same thing. Leave one out."
            )
        return self

    @property
    def folder(self) -> Path:
        """The run folder."""
        return Path(self.out or Path("runs") / self.name).expanduser()

    @property
    def selector(self) -> Selector:
        """The method, as the selector it is."""
        return self.method

    @property
    def required(self) -> tuple[FeatureSpec, ...]:
        """The features that the method, or the selector inside it, asks for."""
        return tuple(getattr(getattr(self.method, "selector", self.method), "requires", ()))

    @property
    def _looks_at_epochs(self) -> bool:
        return any(getattr(spec, "checkpoints", "last") == "epochs" for spec in self.required)

    @property
    def budgets(self) -> tuple[int | float | str, ...]:
        """All budgets, as given."""
        return tuple(self.budget) if isinstance(self.budget, list) else (self.budget,)

    @property
    def warmup_train(self) -> TrainSettings:
        """How the warm-up trains: as the final run, but LoRA, unweighted, one epoch, then `warmup.train`.

        For a method that looks at the end of every epoch it is four, as published for LESS, and all are kept.
        """
        own = {"tuning": "lora", "weighting": "none", "epochs": 4.0 if self._looks_at_epochs else 1.0}
        base = (self.train or TrainSettings()).model_dump() | own | {"keep_epochs": self._looks_at_epochs}
        changes = self.warmup.train
        lora = changes.get("lora", {})
        lora = {**base["lora"], **lora} if isinstance(lora, dict) else lora  # what is none is refused with the rest
        return TrainSettings.model_validate({**base, **changes, "lora": lora})
