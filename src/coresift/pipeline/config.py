"""A recipe: everything one run depends on, checked before anything is done."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from coresift.budget import Budget
from coresift.errors import SettingsError
from coresift.select import Selector
from coresift.selectors import SELECTORS
from coresift.settings import Settings
from coresift.training.settings import TrainSettings

Share = Annotated[int | float, Field(ge=0)]
"""A count (integer) or a fraction (float below 1) of the pool."""


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
    dtype: str = Field("auto", description="float32, bfloat16, float16, or auto (as stored).")
    device: str = Field("auto", description="cpu, cuda, or auto (cuda where there is one).")


class WarmupSettings(Settings):
    """Training on a random part of the pool, always LoRA: the gradient features live on its adapter."""

    fraction: float = Field(0.05, gt=0, le=1)
    train: TrainSettings | None = Field(None, description="Default: as `train`, one epoch, LoRA, unweighted.")

    @model_validator(mode="after")
    def _always_lora(self) -> "WarmupSettings":
        if self.train is not None and self.train.tuning != "lora":
            raise SettingsError(
                f"warmup.train.tuning is {self.train.tuning!r}: the warm-up is always LoRA, since features are taken "
                "on its adapter. Leave it out or set it to lora."
            )
        return self


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
    full: bool = Field(False, description="The whole pool.")
    unweighted: bool = Field(False, description="The coreset itself, trained on without its weights.")


def _parse_method(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    settings = dict(value)
    name = settings.pop("name", None)
    if name not in SELECTORS:
        raise SettingsError(f"method.name is {name!r}. Known methods: {', '.join(sorted(SELECTORS))}.")
    return SELECTORS[name](**settings)


def _dump_method(method: Any) -> dict[str, Any]:
    return {"name": method.name, **method.model_dump(mode="json")}


def _method_schema() -> dict[str, Any]:
    choices = []
    for name, selector in SELECTORS.items():
        schema = selector.model_json_schema()
        schema["properties"] = {"name": {"const": name}, **schema.get("properties", {})}
        choices.append({**schema, "required": ["name", *schema.get("required", [])]})
    return {"anyOf": choices}


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
    def _understood_budgets(self) -> "Recipe":
        for budget in self.budgets:
            Budget.parse(budget)
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
        """How the warm-up trains."""
        if self.warmup.train is not None:
            return self.warmup.train
        base = self.train or TrainSettings()
        return base.model_copy(update={"tuning": "lora", "epochs": 1.0, "weighting": "none"})
