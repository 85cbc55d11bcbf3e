"""A recipe: everything one run depends on, checked before anything is done."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationError, WithJsonSchema, model_validator

from coresift.budget import Budget
from coresift.errors import SettingsError
from coresift.memory import parse_memory
from coresift.pipeline.faults import in_words
from coresift.select import Selector
from coresift.selectors import SELECTORS
from coresift.settings import Settings
from coresift.training.settings import TrainSettings

Share = Annotated[int, Field(ge=0, strict=True)] | Annotated[float, Field(ge=0, lt=1)]
"""A count (integer) or a fraction (float below 1) of the pool."""


def _partial(settings: type[Settings]) -> dict[str, Any]:
    """The schema of some of a section's settings: their names; the values are checked once they are merged."""
    return {"type": "object", "properties": dict.fromkeys(settings.model_fields, {}), "additionalProperties": False}


class PoolSettings(Settings):
    """Where the pool comes from and which part of it may be chosen."""

    path: str = Field(description="File, saved data set folder, Hub id, or `world`.")
    format: str = Field("auto", description="auto, alpaca, messages, sharegpt, prompt-completion or question-answer.")
    columns: dict[str, str] = Field({}, description="Explicit role -> column, overriding recognition.")
    split: str = "train"
    skip_bad_rows: bool = False
    max_tokens: int = Field(2048, ge=8, description="Conversations longer than this are excluded, never cut.")
    held_out: Share = Field(0.02, description="Kept out of the pool for scoring: a count or a fraction; 0 for none.")


class ModelSettings(Settings):
    """The base model."""

    path: str = Field(description="Local folder, Hub id, or `world`.")
    dtype: Literal["auto", "float32", "bfloat16", "float16", "float64"] = Field("auto", description="auto: as stored.")
    device: str = Field("auto", description="cpu, cuda, or auto (cuda where there is one).")


class WarmupSettings(Settings):
    """Training on a random part of the pool, always LoRA: the gradient features live on its adapter."""

    fraction: float = Field(0.05, gt=0, le=1)
    train: Annotated[dict[str, Any], WithJsonSchema(_partial(TrainSettings))] = Field(
        {}, description="What differs from `train`, one epoch, LoRA, unweighted."
    )


class ExtractSettings(Settings):
    """How gradient features are computed; no value changes them beyond rounding."""

    batch_tokens: int = Field(4096, ge=1, description="Examples x padded length of one backward pass.")
    shard_rows: int = Field(256, ge=1, description="Examples per file of the feature store: what a crash can cost.")


class EvaluateSettings(Settings):
    """What trained models are scored on: losses always, exact answers when asked."""

    test: str | None = Field(None, description="A pool of test examples, or `world`; default: the held-out part.")
    answers: bool = Field(False, description="Generate an answer to every test prompt and compare it exactly.")
    max_new_tokens: int = Field(64, ge=1)
    batch_tokens: int = Field(8192, ge=1)


class CompareSettings(Settings):
    """Subsets trained and scored like the coreset, in the same run."""

    base: bool = Field(True, description="Score the untuned model.")
    random: int = Field(0, ge=0, description="Random subsets of the same budget, one seed each.")
    balanced_random: int = Field(
        0, ge=0, description="Random subsets with equal shares of the sources, trained on without weights."
    )
    full: bool = Field(False, description="The whole pool.")
    unweighted: bool = Field(False, description="The coreset itself, trained on without its weights.")


def _parse_method(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    settings = dict(value)
    name = settings.pop("name", None)
    if name not in SELECTORS:
        raise SettingsError(f"method.name is {name!r}. Known methods: {', '.join(sorted(SELECTORS))}.")
    try:
        return SELECTORS[name](**settings)
    except ValidationError as error:
        raise SettingsError(in_words(error, SELECTORS[name], "method.", owner=name)) from None


def _dump_method(method: Any) -> dict[str, Any]:
    return {"name": method.name, **method.model_dump(mode="json")}


def _method_schema() -> dict[str, Any]:
    choices = []
    for name, selector in SELECTORS.items():
        schema = _inlined(selector.model_json_schema())
        schema["properties"] = {"name": {"const": name}, **schema.get("properties", {})}
        choices.append({**schema, "required": ["name", *schema.get("required", [])]})
    return {"anyOf": choices}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema whose references to its own definitions are put in their place: it will be part of a larger one."""
    known = schema.pop("$defs", {})

    def put(value: Any) -> Any:
        if isinstance(value, list):
            return [put(each) for each in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            rest = {key: each for key, each in value.items() if key != "$ref"}
            return {**put(known[value["$ref"].removeprefix("#/$defs/")]), **put(rest)}
        return {key: put(each) for key, each in value.items()}

    return {key: put(value) for key, value in schema.items()}


Method = Annotated[Any, BeforeValidator(_parse_method), PlainSerializer(_dump_method), WithJsonSchema(_method_schema())]


class Recipe(Settings):
    """One run, complete: the same recipe on the same files gives the same coreset."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Names the run folder, runs/NAME.")
    out: str | None = Field(None, description="Run folder; default runs/NAME.")
    seed: int = Field(0, ge=0)
    pool: PoolSettings
    model: ModelSettings
    warmup: WarmupSettings = WarmupSettings()
    extract: ExtractSettings = ExtractSettings()
    method: Method = Field(default_factory=lambda: SELECTORS["brief"](), description="Selection method and settings.")
    budget: int | float | str | list[int | float | str] = Field(
        0.05, description='A count, a fraction, "5%", or "20000 tokens"; a list gives nested coresets.'
    )
    memory: str = Field(
        "auto", description="What selecting may use beyond the features, such as 3GB; auto: most of what is free."
    )
    train: TrainSettings | None = Field(None, description="Final training; null: only select.")
    merge: bool = Field(False, description="Also leave the trained adapter merged into a full model.")
    evaluate: EvaluateSettings = EvaluateSettings()
    compare: CompareSettings = CompareSettings()

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
    def selector(self) -> Selector:
        """The method, as the selector it is."""
        return self.method

    @property
    def budgets(self) -> tuple[int | float | str, ...]:
        """All budgets, as given."""
        return tuple(self.budget) if isinstance(self.budget, list) else (self.budget,)

    @property
    def warmup_train(self) -> TrainSettings:
        """How the warm-up trains: as the final run, but LoRA, one epoch, unweighted, then `warmup.train`."""
        base = (self.train or TrainSettings()).model_dump() | {"tuning": "lora", "epochs": 1.0, "weighting": "none"}
        changes = self.warmup.train
        lora = {**base["lora"], **changes.get("lora", {})}
        return TrainSettings(**{**base, **changes, "lora": lora})
