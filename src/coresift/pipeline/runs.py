"""A run folder: the latest settings, the artefacts they led to, and what people open."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from coresift import files
from coresift.artefacts.locks import locked
from coresift.artefacts.store import Artefact, Store, Work
from coresift.budget import Budget
from coresift.data.pool import Pool
from coresift.errors import RunError, SelectionError
from coresift.evaluation.rouge import check_rouge
from coresift.models.encoders import read_layout
from coresift.models.load import check_model, resolve_device
from coresift.models.packed import Packed
from coresift.models.render import Renderer
from coresift.models.rendered_pool import RenderedPool, seen_as
from coresift.models.rendering import pack_pool
from coresift.models.sources import rendering_identity
from coresift.notebook import facts_table
from coresift.pipeline.config import Recipe
from coresift.pipeline.inputs import Inputs, model_path
from coresift.pipeline.recipes import Resolved, load_recipe
from coresift.pipeline.uses import FILE, PACKED, Uses, recorded_store

STORE_VARIABLE = "CORESIFT_STORE"
"""Names a store for all runs whose recipe names none."""
LOCK = ".lock"


class Run:
    """One recipe and the folder that people open.

    Args:
        resolved: The recipe with the origin of every value.
        beside: Another run of this process; its pool, as it was read and rendered, serves this one too where both
            name the same pool and model.

    Raises:
        RunError: If the folder is a file, or was made by version 0.1.0.
    """

    def __init__(self, resolved: Resolved, *, beside: "Run | None" = None) -> None:
        self.resolved, self._beside = resolved, beside
        self.recipe: Recipe = resolved.recipe
        self.folder = self.recipe.folder
        self._refuse_file()
        self._refuse_old_folder()
        self._began, self._made, self._own = time.monotonic(), 0.0, dict[str, float]()
        self._did = False
        self._tokens: list[Artefact] = []
        self._ready = False
        self.is_new, self.is_announced = False, False
        """Whether the folder held other settings, or none, when this run began; whether that has been told."""
        self.before: dict[str, Any] | None = None
        """The settings that the folder held, if any."""

    def _repr_html_(self) -> str:
        page = self.folder / "report" / "index.html"
        scores = files.read_object(self.folder / "scores.json").get("rows", [])
        accuracies = {
            f"accuracy, {row['name']}": f"{row['accuracy']['all']:.3f}" for row in scores if row.get("accuracy")
        }
        facts = {
            "method": self.recipe.selector.name,
            "budget": ", ".join(map(str, self.recipe.budgets)),
            "folder": self.folder,
            **accuracies,
            "page": page if page.is_file() else "not drawn yet",
        }
        return facts_table(f"Run {self.recipe.name}", facts)

    @cached_property
    def inputs(self) -> Inputs:
        """Pool, rendering and test examples."""
        other = self._beside
        same = other is not None and (other.recipe.pool, other.recipe.model) == (self.recipe.pool, self.recipe.model)
        return Inputs(self.recipe, self.timed, other.inputs if other is not None and same else None, self._rendered)

    def _rendered(self, pool: Pool, renderer: Renderer) -> RenderedPool:
        """A pool as tokens, which are an artefact like others: rendered once, whoever reads them."""
        identity = {"pool": pool.fingerprint, **rendering_identity(self.inputs.base, self.recipe.model.template)}

        def make(work: Work) -> None:
            began = time.monotonic()
            packed = pack_pool(pool, renderer)
            packed.save(work.folder)
            work.add(seconds=time.monotonic() - began)

        artefact = self.store.ensure(self.store.artefact("tokens", identity), make)
        self._tokens.append(artefact)
        packed = Packed.load(artefact.folder)
        return seen_as(pool, packed, renderer.max_tokens, skip_bad_rows=self.recipe.pool.skip_bad_rows)

    @cached_property
    def store(self) -> Store:
        """Where the artefacts of this run are made and found."""
        recorded = recorded_store(self.folder)
        root = store_folder(self.recipe.store, self.folder)
        beside = () if recorded is None or recorded == root.resolve() else (recorded,)
        return Store(root, beside, self.made)

    @cached_property
    def uses(self) -> Uses:
        """The artefacts of this run by what they are to it."""
        return Uses(self.folder, self.store)

    @property
    def costs(self) -> dict[str, dict[str, Any]]:
        """Stage -> {seconds, tokens, flops}: of the artefacts used, whoever made them, and of the run itself."""
        return self.uses.costs

    @property
    def settings_file(self) -> Path:
        """The resolved recipe; written once the inputs have been read without a fault."""
        return self.folder / "settings.yaml"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other command works in this folder meanwhile; at the end all its time is accounted for."""
        with locked(self.folder.parent / f".{self.folder.name}{LOCK}", what=str(self.folder), say=print):
            yield
            if self._did:  # a command that only looked leaves no trace
                rest = time.monotonic() - self._began - self._made - sum(self._own.values())
                self.uses.spend({**self._own, "other": rest})

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the seconds of what leaves no artefact: `reading`."""
        began = time.monotonic()
        yield
        self._own[stage] = self._own.get(stage, 0.0) + time.monotonic() - began

    def begin(self, *, say: Any = print) -> None:
        """Check the inputs against the settings, then record the settings: the first thing a run writes."""
        if self._ready:
            return
        self._refuse_foreign_folder()
        resolve_device(self.recipe.model.device)
        self._refuse_unusable_model()
        self.inputs.refuse_longer_than_model()
        self.inputs.refuse_unusable_others()
        self._refuse_unusable_metrics()
        self._refuse_impossible_budgets()
        recorded, wanted = self.recorded_settings(), self.recipe.model_dump(mode="json")
        self.before = recorded
        self.is_new = recorded is None or _placeless(recorded) != _placeless(wanted)
        if self.is_new and recorded is not None:
            self.uses.forget()
            (self.folder / "scores.json").unlink(missing_ok=True)
            shutil.rmtree(self.folder / "report", ignore_errors=True)
        if recorded != wanted:  # the same values keep their first origins
            files.write_text(self.settings_file, self.resolved.to_yaml())
        for place, artefact in enumerate(self._tokens):
            self.uses.note(
                "tokens" if place == 0 else f"tokens of test {place}", artefact, stage="rendering", link=False
            )
        self._ready = True

    def recorded_settings(self) -> dict[str, Any] | None:
        """The settings in the folder, as plain values; None where there are none.

        Raises:
            RunError: If the file was damaged or edited into something that is no recipe.
        """
        if not self.settings_file.exists():
            return None
        try:
            found = yaml.safe_load(self.settings_file.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            found = str(error).splitlines()[0]
        if not isinstance(found, dict):
            raise RunError(
                f"{self.settings_file}: these are no settings ({found!r}). Delete this file: it is written again, and "
                "what the run has made is found again."
            )
        return found

    def made(self, seconds: float) -> None:
        """Count the seconds of something that is there now and was not before."""
        self._made += seconds
        self._did = True

    def _refuse_file(self) -> None:
        if self.folder.is_file():
            raise RunError(
                f"{self.folder} is a file, and a run needs a folder. Name a new one (--out or --set out=...)."
            )

    def _refuse_old_folder(self) -> None:
        own = [self.folder / name for name in ("warmup", "features", "final")]
        old = any(path.is_dir() and not path.is_symlink() for path in own) and not (self.folder / FILE).exists()
        if old and self.settings_file.exists():
            raise RunError(
                f"{self.folder} was made by coresift 0.1.0, whose folders hold their own features and models. It can "
                "be opened as it is, but not gone on with: name another folder."
            )

    def _refuse_foreign_folder(self) -> None:
        if self.folder.is_dir() and any(self.folder.iterdir()) and not self.settings_file.exists():
            raise RunError(
                f"{self.folder} holds something that is not a run. Name a new folder, or one of the same command."
            )

    def _refuse_unusable_model(self) -> None:
        """Raise before hours of work if the model is damaged, or its tokenizer lacks what losses need."""
        check_model(self.inputs.base)
        if self.recipe.train is not None or len(self.recipe.required) > 0:
            _ = self.inputs.renderer.start_token

    def _refuse_impossible_budgets(self) -> None:
        """Raise before hours of work, not after them."""
        shortest = int(self.inputs.rows.lengths.min())
        for budget in map(Budget.parse, self.recipe.budgets):
            if budget.kind != "tokens":
                budget.count(len(self.inputs.candidates))
            elif budget.amount < shortest:
                raise SelectionError(
                    f"budget {budget}: the shortest example has {shortest} tokens. Ask for at least {shortest} tokens."
                )

    def _refuse_unusable_metrics(self) -> None:
        """Raise before models are trained, not when their answers are scored."""
        settings = self.recipe.evaluate
        if "rouge1" in settings.metrics:
            check_rouge()
        if settings.encoder is not None:
            read_layout(model_path(settings.encoder))


def _placeless(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings without those that only say what a run is called and where it is."""
    return {key: value for key, value in settings.items() if key not in ("name", "out", "store")}


def store_folder(named: str | None, folder: Path) -> Path:
    """The store of a run: inside it once it is packed, else as named, else `.store` beside it."""
    if (folder / PACKED).is_dir():
        return folder / PACKED
    chosen = named or os.environ.get(STORE_VARIABLE)
    return Path(chosen).expanduser() if chosen else folder.parent / ".store"


def open_run(recipe: str | Path, *, set: tuple[str, ...] = ()) -> Run:
    """The run of a recipe file or shipped recipe name, with `a.b=value` overrides."""
    return Run(load_recipe(recipe, set))
