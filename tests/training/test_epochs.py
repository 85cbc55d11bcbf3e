"""The ends of epochs, kept: they are the run's own states, with the rates it learned at, interrupted or not."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from round_policies import Highest
from safetensors.torch import load_file
from transformers import TrainerCallback

from coresift.errors import SettingsError, TrainingError
from coresift.models.lora import LoraSettings
from coresift.models.render import Rendered, Renderer
from coresift.models.rendered_pool import render_pool
from coresift.policy import OnlineProblem
from coresift.training import build, trainer
from coresift.training.checkpoints import Checkpoint, Epoch
from coresift.training.rounds import train_rounds
from coresift.training.settings import TrainSettings
from coresift.training.trainer import train

KEPT = TrainSettings(
    lora=LoraSettings(rank=2, alpha=4, dropout=0.1),
    epochs=2.4,
    learning_rate=1e-2,
    batch_size=4,
    micro_batch_size=4,
    warmup_ratio=0.0,
    precision="float32",
    keep_epochs=True,
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def rows() -> list[Rendered]:
    rendered = render_pool(tiny.pool(10), Renderer(tiny.tokenizer("llama3"), max_tokens=512))
    return [row for row in rendered.rows if row is not None]


@pytest.fixture(scope="module")
def kept(base: Path, rows: list[Rendered], tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return train(base, rows, out=tmp_path_factory.mktemp("kept"), settings=KEPT, device="cpu")


def state_of(epoch: Epoch) -> dict[str, torch.Tensor]:
    moments = epoch.moments()
    return {
        **load_file(epoch.adapter / "adapter_model.safetensors"),
        **{f"m {k}": v for k, v in moments.second.items()},
    }


def equal(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_every_epoch_is_kept_and_the_last_is_the_runs_own(kept: Checkpoint) -> None:
    folders = [epoch.folder for epoch in kept.epochs]
    assert folders == [kept.folder / "epochs" / "1", kept.folder / "epochs" / "2", kept.folder]
    assert [epoch.moments().step for epoch in kept.epochs] == [3, 6, 8]  # steps so far: 3 an epoch, 2.4 epochs
    states = [state_of(epoch) for epoch in kept.epochs]
    assert not equal(states[0], states[1]) and not equal(states[1], states[2])
    assert len({epoch.fingerprint for epoch in kept.epochs}) == 3


def test_the_rate_of_an_epoch_is_the_mean_over_its_steps(kept: Checkpoint) -> None:
    rates = [1e-2 * (8 - step) / 8 for step in range(8)]
    means = [sum(rates[:3]) / 3, sum(rates[3:6]) / 3, sum(rates[6:]) / 2]
    assert [epoch.learning_rate for epoch in kept.epochs] == pytest.approx(means)


def test_the_first_epoch_kept_is_where_a_run_stood_after_it(
    kept: Checkpoint, base: Path, rows: list[Rendered], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is stopped right after its third step has the same state in its checkpoint."""
    crash_after(3, monkeypatch)
    settings = KEPT.model_copy(update={"save_steps": 3})
    with pytest.raises(KeyboardInterrupt):
        train(base, rows, out=tmp_path / "run", settings=settings, device="cpu")
    stood = load_file(tmp_path / "run" / "checkpoints" / "checkpoint-3" / "adapter_model.safetensors")
    assert equal(stood, load_file(kept.epochs[0].adapter / "adapter_model.safetensors"))


class StopOnceSaved(TrainerCallback):
    """Ends the run with an error right after the checkpoint of a step, as a crash would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


def crash_after(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = build.build_trainer

    def crashing(*args: Any, callbacks: list[Any], **kwargs: Any) -> Any:
        return real(*args, callbacks=[*callbacks, StopOnceSaved(step)], **kwargs)

    monkeypatch.setattr(trainer, "build_trainer", crashing)


@pytest.mark.parametrize("step", [2, 3, 6])
def test_an_interrupted_run_keeps_the_same_epochs(
    step: int, kept: Checkpoint, base: Path, rows: list[Rendered], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = KEPT.model_copy(update={"save_steps": 1})
    with monkeypatch.context() as patch:
        crash_after(step, patch)
        with pytest.raises(KeyboardInterrupt):
            train(base, rows, out=tmp_path / "run", settings=settings, device="cpu")
    resumed = train(base, rows, out=tmp_path / "run", settings=settings, device="cpu")
    assert [epoch.learning_rate for epoch in resumed.epochs] == [epoch.learning_rate for epoch in kept.epochs]
    for one, two in zip(resumed.epochs, kept.epochs, strict=True):
        assert equal(state_of(one), state_of(two))


def test_keeping_epochs_changes_no_weight(kept: Checkpoint, base: Path, rows: list[Rendered], tmp_path: Path) -> None:
    settings = KEPT.model_copy(update={"keep_epochs": False})
    plain = train(base, rows, out=tmp_path / "plain", settings=settings, device="cpu")
    assert equal(*(load_file(each.folder / "adapter" / "adapter_model.safetensors") for each in (plain, kept)))
    assert not (plain.folder / "epochs").exists()
    with pytest.raises(TrainingError, match="its epochs were not kept. Train with keep_epochs=true"):
        _ = plain.epochs


def test_an_epoch_that_was_removed_is_an_error(kept: Checkpoint, tmp_path: Path) -> None:
    copy = Checkpoint(Path(shutil.copytree(kept.folder, tmp_path / "copy")))
    shutil.rmtree(copy.folder / "epochs" / "2")
    with pytest.raises(TrainingError, match="the end of this epoch is gone. Remove .* and train again"):
        _ = copy.epochs


def test_epochs_are_refused_where_there_are_no_adapters_or_no_epochs(
    base: Path, rows: list[Rendered], tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="keep_epochs is set and tuning is 'full'.* Set tuning to lora"):
        TrainSettings(tuning="full", keep_epochs=True)
    problem, policy = OnlineProblem(n=len(rows), budget=4), Highest()
    with pytest.raises(TrainingError, match="keep_epochs is set, but training in rounds has no epochs"):
        train_rounds(base, rows, policy, problem, out=tmp_path / "rounds", settings=KEPT, device="cpu")
