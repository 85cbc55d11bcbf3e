"""Whole training runs: what they leave, resuming, and what is refused."""

import json
import random
import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apart
import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from coresift.errors import DataError, ModelError, SettingsError, TrainingError
from coresift.models.load import load_model
from coresift.models.lora import LoraSettings, load_adapter, lora_parameters
from coresift.models.render import Rendered, Renderer
from coresift.models.rendered_pool import render_pool
from coresift.training import build, trainer
from coresift.training.checkpoints import Checkpoint, load_trained
from coresift.training.costs import training_flops
from coresift.training.settings import TrainSettings
from coresift.training.trainer import train

SMALL = TrainSettings(
    lora=LoraSettings(rank=2, alpha=4, dropout=0.1),
    epochs=2,
    learning_rate=1e-2,
    batch_size=4,
    micro_batch_size=2,
    precision="float32",
)
WEIGHTS = np.array([1.0, 3.0, 2.0, 1.0, 5.0, 1.0, 1.0, 2.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def rows() -> list[Rendered]:
    rendered = render_pool(tiny.pool(10), Renderer(tiny.tokenizer("llama3"), max_tokens=512))
    return [row for row in rendered.rows if row is not None]


@pytest.fixture(scope="module")
def done(base: Path, rows: list[Rendered], tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return train(base, rows, out=tmp_path_factory.mktemp("done"), settings=SMALL, weights=WEIGHTS, seed=1, device="cpu")


def adapter_of(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    assert checkpoint.adapter is not None
    return load_file(checkpoint.adapter / "adapter_model.safetensors")


def equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_a_run_leaves_the_adapter_the_moments_and_its_account(done: Checkpoint, rows: list[Rendered]) -> None:
    names = sorted(str(path.relative_to(done.folder)) for path in done.folder.rglob("*"))
    assert names == [
        "adapter",
        "adapter/adapter_base.json",
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "adapter/adapter_order.json",
        "inputs.json",
        "moments.safetensors",
        "training.json",
    ]
    summary = done.summary
    assert summary["steps"] == 6 and summary["examples"] == 10 and summary["epochs"] == 2
    assert summary["tokens"] == 2 * sum(len(row.tokens) for row in rows)
    assert summary["target_tokens"] == 2 * sum(row.n_targets for row in rows)
    assert summary["loss_last"] < summary["loss_first"] and summary["seconds"] > 0
    assert [step for step, _ in summary["loss_curve"]] == [1, 2, 3, 4, 5, 6]
    assert (summary["weighting"], summary["loss_reduction"], summary["tuning"]) == ("loss", "example", "lora")
    assert done.model is None


def test_flops_count_frozen_weights_fourfold_and_trained_ones_sixfold(done: Checkpoint, base: Path) -> None:
    model = load_model(base)
    table = model.get_input_embeddings().weight.numel()
    everything = sum(weight.numel() for weight in model.parameters()) - table
    trained = sum(weight.numel() for weight in adapter_of(done).values())
    assert done.summary["flops"] == done.summary["tokens"] * (4 * everything + 6 * trained)


def test_flops_count_packed_weights_by_their_real_shape_and_a_tied_table_as_head() -> None:
    packed = torch.nn.Linear(4, 2, bias=False).requires_grad_(False)
    packed.weight.quant_state = torch.zeros(8, 6)  # type: ignore[assignment]
    assert training_flops(packed, 10) == 10 * 4 * 48
    tied = tiny.model()
    tied.lm_head.weight = tied.model.embed_tokens.weight  # type: ignore[union-attr,assignment]
    assert training_flops(tied, 1) == 6 * sum(weight.numel() for weight in tied.parameters())


def test_a_finished_folder_is_returned_as_it_is(
    done: Checkpoint, base: Path, rows: list[Rendered], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "build_trainer", lambda *_, **__: pytest.fail("trained again"))
    again = train(base, rows, out=done.folder, settings=SMALL, weights=WEIGHTS, seed=1, device="cpu")
    assert again.summary == done.summary


def test_same_seed_same_weights_and_global_randomness_untouched(
    done: Checkpoint, base: Path, rows: list[Rendered], tmp_path: Path
) -> None:
    torch.manual_seed(7), np.random.seed(7), random.seed(7)
    expected = (torch.rand(1).item(), np.random.rand(), random.random())
    torch.manual_seed(7), np.random.seed(7), random.seed(7)
    again = train(base, rows, out=tmp_path / "a", settings=SMALL, weights=WEIGHTS, seed=1, device="cpu")
    assert (torch.rand(1).item(), np.random.rand(), random.random()) == expected
    assert equal(adapter_of(again), adapter_of(done)) and again.fingerprint == done.fingerprint
    other = train(base, rows, out=tmp_path / "b", settings=SMALL, weights=WEIGHTS, seed=2, device="cpu")
    assert not equal(adapter_of(other), adapter_of(done)) and other.fingerprint != done.fingerprint


def test_moments_are_adamws_state_in_adapter_order(done: Checkpoint, base: Path) -> None:
    assert done.adapter is not None
    moments = done.moments()
    weights = lora_parameters(load_adapter(load_model(base), done.adapter))
    assert list(moments.first) == list(moments.second) == [name for name, _ in weights]
    assert moments.step == 6
    for name, weight in weights:
        assert moments.first[name].shape == moments.second[name].shape == weight.shape
        assert (moments.second[name] >= 0).all() and torch.isfinite(moments.first[name]).all()
        # the last gradient is bounded by what the running mean of squares has seen
        assert (moments.first[name].abs() <= (moments.second[name].sqrt() * 0.1 / 0.001**0.5 * 6)).all()
    assert any(float(second.max()) > 0 for second in moments.second.values())


class Stop(TrainerCallback):
    """Ends the run with an error after a step, as a crash would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


def crash_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = build.build_trainer

    def crashing(*args: Any, callbacks: list[Any], **kwargs: Any) -> Any:
        return real(*args, callbacks=[*callbacks, Stop(step)], **kwargs)

    monkeypatch.setattr(trainer, "build_trainer", crashing)


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({}, 2),  # before the first checkpoint
        ({}, 5),  # in the second epoch
        ({"save_steps": 1}, 3),  # at the end of an epoch, after the checkpoints of steps 1 and 2
        ({"save_steps": 2}, 5),  # in the middle of an epoch
        ({"save_steps": 2, "tuning": "full"}, 5),
        ({"weighting": "sampling", "save_steps": 2}, 5),
    ],
)
def test_interrupted_run_ends_with_the_same_weights(
    changes: dict[str, Any],
    step: int,
    base: Path,
    rows: list[Rendered],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = SMALL.model_copy(update=changes)
    ask: dict[str, Any] = {"settings": settings, "weights": WEIGHTS, "seed": 1, "device": "cpu"}
    straight = train(base, rows, out=tmp_path / "straight", **ask)
    with monkeypatch.context() as patch:
        crash_at(step, patch)
        with pytest.raises(KeyboardInterrupt):
            train(base, rows, out=tmp_path / "broken", **ask)
    assert not (tmp_path / "broken" / "training.json").exists()
    resumed = train(base, rows, out=tmp_path / "broken", **ask)
    kind = "model" if settings.tuning == "full" else "adapter"
    name = f"{kind}/{'model' if kind == 'model' else 'adapter_model'}.safetensors"
    assert equal(load_file(resumed.folder / name), load_file(straight.folder / name))
    assert resumed.fingerprint == straight.fingerprint
    assert resumed.summary["loss_curve"] == straight.summary["loss_curve"]
    if kind == "adapter":
        assert equal(resumed.moments().second, straight.moments().second)


def test_run_stopped_between_last_step_and_result_does_not_train_further(
    base: Path, rows: list[Rendered], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SMALL.model_copy(update={"epochs": 1.3})
    straight = train(base, rows, out=tmp_path / "straight", settings=settings, device="cpu")
    assert straight.summary["steps"] == 4
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "finish", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train(base, rows, out=tmp_path / "broken", settings=settings, device="cpu")
    resumed = train(base, rows, out=tmp_path / "broken", settings=settings, device="cpu")
    assert equal(adapter_of(resumed), adapter_of(straight)) and resumed.summary["steps"] == 4
    assert equal(resumed.moments().first, straight.moments().first)


def test_half_written_checkpoint_is_not_resumed_from(
    base: Path, rows: list[Rendered], done: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask: dict[str, Any] = {"settings": SMALL, "weights": WEIGHTS, "seed": 1, "device": "cpu"}
    with monkeypatch.context() as patch:
        crash_at(5, patch)
        with pytest.raises(KeyboardInterrupt):
            train(base, rows, out=tmp_path / "out", **ask)
    broken = tmp_path / "out" / "checkpoints" / "checkpoint-5"
    broken.mkdir()
    (broken / "trainer_state.json").write_text("{")
    assert equal(adapter_of(train(base, rows, out=tmp_path / "out", **ask)), adapter_of(done))


def test_killed_process_resumes_to_the_same_weights(base: Path, rows: list[Rendered], tmp_path: Path) -> None:
    code = """
        import sys, tiny, torch
        from pathlib import Path
        from coresift.models.render import Renderer
        from coresift.models.rendered_pool import render_pool
        from coresift.training.settings import TrainSettings
        from coresift.training.trainer import train
        torch.set_num_threads(int(sys.argv[1]))
        rows = render_pool(tiny.pool(10), Renderer(tiny.tokenizer("llama3"), max_tokens=512)).rows
        settings = TrainSettings.model_validate_json(sys.argv[4])
        train(sys.argv[2], rows, out=Path(sys.argv[3]), settings=settings, device="cpu")
        """
    settings = SMALL.model_copy(update={"epochs": 15.0, "save_steps": 2})
    arguments = (torch.get_num_threads(), base, tmp_path / "killed", settings.model_dump_json())
    run = apart.start(textwrap.dedent(code), *arguments)
    apart.until(lambda: any(tmp_path.glob("killed/checkpoints/*/complete.json")), run)
    apart.kill(run)
    assert not (tmp_path / "killed" / "training.json").exists()
    resumed = train(base, rows, out=tmp_path / "killed", settings=settings, device="cpu")
    straight = train(base, rows, out=tmp_path / "straight", settings=settings, device="cpu")
    assert equal(adapter_of(resumed), adapter_of(straight))


def test_folder_of_another_run_is_refused_with_both_sides(done: Checkpoint, base: Path, rows: list[Rendered]) -> None:
    faster = SMALL.model_copy(update={"learning_rate": 0.5})
    with pytest.raises(
        TrainingError, match=r"another training run:\n  settings.learning_rate: the folder has 0.01, this run needs 0.5"
    ):
        train(base, rows, out=done.folder, settings=faster, weights=WEIGHTS, seed=1, device="cpu")
    with pytest.raises(
        TrainingError, match=r"seed: the folder has 1, this run needs 2\nUse another folder, or remove this one"
    ):
        train(base, rows, out=done.folder, settings=SMALL, weights=WEIGHTS, seed=2, device="cpu")
    with pytest.raises(TrainingError, match="weights: the folder has "):
        train(base, rows, out=done.folder, settings=SMALL, seed=1, device="cpu")
    with pytest.raises(TrainingError, match="examples: the folder has 10, this run needs 9\n  rows: the folder has "):
        train(base, rows[:-1], out=done.folder, settings=SMALL, weights=WEIGHTS[:-1], seed=1, device="cpu")


def test_full_tuning_leaves_a_model_and_no_moments(base: Path, rows: list[Rendered], tmp_path: Path) -> None:
    full = SMALL.model_copy(update={"tuning": "full", "epochs": 1.0})
    made = train(base, rows, out=tmp_path / "full", settings=full, device="cpu")
    assert made.adapter is None and made.model == tmp_path / "full" / "model"
    loaded = load_trained(base, made)
    assert not torch.equal(loaded.lm_head.weight, load_model(base).lm_head.weight)  # type: ignore[union-attr,arg-type]
    with pytest.raises(TrainingError, match="no moments.safetensors; .* kept by adapter tuning only. Use tuning=lora"):
        made.moments()


def test_loading_folds_the_adapter_into_precise_weights_only(done: Checkpoint, base: Path) -> None:
    assert done.adapter is not None
    tokens = torch.arange(3, 19).reshape(2, 8)
    separate = load_adapter(load_model(base), done.adapter)
    folded, half = load_trained(base, done), load_trained(base, done, dtype="bfloat16")
    with torch.no_grad():
        assert torch.allclose(folded(tokens).logits, separate(tokens).logits, atol=1e-5)
    assert not any("lora" in name for name, _ in folded.named_parameters())
    assert any("lora" in name for name, _ in half.named_parameters())
    assert not folded.training and not half.training


def test_unfinished_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no training.json, so no training run has finished here. Run the training"):
        _ = Checkpoint(tmp_path).summary


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_weights_that_are_not_finite_and_positive_are_refused(
    bad: float, base: Path, rows: list[Rendered], tmp_path: Path
) -> None:
    weights = np.where(np.arange(10) == 3, bad, 1.0)
    with pytest.raises(TrainingError, match=r"the weight of example e3 is .*finite and positive: leave an example out"):
        train(base, rows, out=tmp_path / "out", settings=SMALL, weights=weights, device="cpu")
    assert not (tmp_path / "out").exists()


def test_rows_that_do_not_fit_are_refused(base: Path, rows: list[Rendered], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"weights have shape \(3,\) for 10 rows. Pass one weight per row"):
        train(base, rows, out=tmp_path / "a", settings=SMALL, weights=np.ones(3), device="cpu")
    with pytest.raises(TrainingError, match="no rows to train on"):
        train(base, [], out=tmp_path / "b", settings=SMALL, device="cpu")
    unread: Any = [rows[0], None]
    with pytest.raises(TrainingError, match="row 1 is None: its conversation is longer than the renderer's max_tokens"):
        train(base, unread, out=tmp_path / "b", settings=SMALL, device="cpu")
    long = Rendered("long", (1,) * 600, (False,) + (True,) * 599)
    with pytest.raises(DataError, match="example long has 600 tokens, but the model takes at most 512"):
        train(base, [long], out=tmp_path / "c", settings=SMALL, device="cpu")
    strange = Rendered("strange", (1, 9999), (False, True))
    with pytest.raises(TrainingError, match="example strange has token 9999, but the model knows 288 tokens"):
        train(base, [strange], out=tmp_path / "d", settings=SMALL, device="cpu")


def test_settings_that_cannot_be_honoured_are_refused(
    base: Path, rows: list[Rendered], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match="batch_size 4 is not a multiple of micro_batch_size 3"):
        TrainSettings(batch_size=4, micro_batch_size=3)
    qlora = SMALL.model_copy(update={"tuning": "qlora"})
    with pytest.raises(TrainingError, match="'qlora', which needs a CUDA device; this is cpu. Use tuning=lora"):
        train(base, rows, out=tmp_path / "q", settings=qlora, device="cpu")
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TrainingError, match="needs bitsandbytes: pip install"):
        build.load_base(base, qlora, torch.device("cuda"))
    with pytest.raises(ModelError, match="no such folder"):
        train("./absent", rows, out=tmp_path / "m", settings=SMALL, device="cpu")


def test_processes_must_share_a_step_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Three:
        num_processes = 3

    monkeypatch.setattr("accelerate.PartialState", lambda cpu: Three)
    with pytest.raises(TrainingError, match="batch_size 4 is not a multiple of micro_batch_size x processes = 6"):
        build._arguments(SMALL, 1, tmp_path, 0, torch.device("cpu"))


def test_a_loss_that_is_not_a_number_is_an_error(base: Path, rows: list[Rendered], tmp_path: Path) -> None:
    wild = SMALL.model_copy(update={"learning_rate": 1e30, "tuning": "full", "epochs": 4.0, "max_grad_norm": 0.0})
    with pytest.raises(TrainingError, match="the training loss is nan at step .*Lower the learning rate"):
        train(base, rows, out=tmp_path / "out", settings=wild, device="cpu")
    assert not (tmp_path / "out" / "training.json").exists()


def test_weights_that_are_not_finite_at_the_end_are_an_error(base: Path, rows: list[Rendered], tmp_path: Path) -> None:
    model = load_model(base)
    with torch.no_grad():
        model.lm_head.weight[0, 0] = float("inf")  # type: ignore[operator,index]
    with pytest.raises(TrainingError, match="lm_head.weight is not finite after step 6. Lower the learning rate"):
        trainer._check_finite(model, 6)


def test_a_base_model_with_a_weight_that_is_not_finite_is_named_before_training(
    base: Path, rows: list[Rendered], tmp_path: Path
) -> None:
    model, damaged = load_model(base), tmp_path / "damaged"
    with torch.no_grad():
        model.lm_head.weight[0, 0] = float("nan")  # type: ignore[operator,index]
    shutil.copytree(base, damaged)
    model.save_pretrained(damaged)
    with pytest.raises(ModelError, match="the weight .*lm_head.weight of the base model is not finite. The"):
        train(damaged, rows, out=tmp_path / "out", settings=SMALL, device="cpu")


@pytest.fixture
def copied(done: Checkpoint, tmp_path: Path) -> Path:
    return Path(shutil.copytree(done.folder, tmp_path / "copied"))


@pytest.mark.parametrize(
    ("file", "use"),
    [
        ("adapter/adapter_model.safetensors", lambda it, base: load_trained(base, it)),
        ("adapter/adapter_config.json", lambda it, base: it.adapter),
        ("moments.safetensors", lambda it, base: it.moments()),
    ],
)
@pytest.mark.parametrize("damage", ["a flipped bit", "cut", "gone"])
def test_a_result_that_is_not_what_training_wrote_is_refused_before_it_is_used(
    copied: Path, base: Path, file: str, use: Callable[[Checkpoint, Path], Any], damage: str
) -> None:
    path = copied / file
    content = bytearray(path.read_bytes())
    use(Checkpoint(copied), base)
    if damage == "gone":
        path.unlink()
    else:
        content[-9] ^= 1
        path.write_bytes(content if damage == "a flipped bit" else content[:-9])
    with pytest.raises(
        TrainingError, match=rf"{path.name}: not the file that training wrote .*remove .* and train again"
    ):
        use(Checkpoint(copied), base)


def test_an_account_that_is_damaged_says_so(copied: Path) -> None:
    (copied / "training.json").write_text('{"tuning": ')
    with pytest.raises(TrainingError, match="training.json: cut or damaged. Remove .* and train again"):
        _ = Checkpoint(copied).adapter


def test_a_damaged_mark_of_a_checkpoint_marks_nothing(tmp_path: Path) -> None:
    for number, text in ((1, '{"step": 1, "seconds": 2.0}'), (2, '{"step": 2, "sec'), (3, "[]")):
        (tmp_path / f"checkpoint-{number}").mkdir()
        (tmp_path / f"checkpoint-{number}" / "complete.json").write_text(text)
    assert trainer.newest(tmp_path) == (str(tmp_path / "checkpoint-1"), 2.0)


def test_bfloat16_trains_float32_adapters(base: Path, rows: list[Rendered], tmp_path: Path) -> None:
    half = SMALL.model_copy(update={"precision": "bfloat16"})
    made = train(base, rows, out=tmp_path / "half", settings=half, weights=WEIGHTS, seed=1, device="cpu")
    assert {weight.dtype for weight in adapter_of(made).values()} == {torch.float32}
    assert made.summary["loss_last"] < made.summary["loss_first"]


def test_gradient_checkpointing_changes_nothing(
    base: Path, rows: list[Rendered], done: Checkpoint, tmp_path: Path
) -> None:
    plain = SMALL.model_copy(update={"lora": LoraSettings(rank=2, alpha=4, dropout=0.0), "epochs": 1.0})
    thrifty = plain.model_copy(update={"gradient_checkpointing": True})
    one = adapter_of(train(base, rows, out=tmp_path / "a", settings=plain, device="cpu"))
    two = adapter_of(train(base, rows, out=tmp_path / "b", settings=thrifty, device="cpu"))
    assert all(torch.allclose(one[name], two[name], atol=1e-6) for name in one)


def test_learning_rate_rises_then_falls_linearly(rows: list[Rendered], tmp_path: Path) -> None:
    settings = SMALL.model_copy(update={"epochs": 10.0, "warmup_ratio": 0.2, "learning_rate": 1.0})
    made = build.build_trainer(
        tiny.model(),
        tiny.tokenizer("llama3"),
        rows,
        out=tmp_path,
        settings=settings,
        weights=np.ones(10),
        seed=0,
        device=torch.device("cpu"),
    )
    made.create_optimizer_and_scheduler(30)
    rates = []
    for _ in range(31):
        rates.append(made.optimizer.param_groups[0]["lr"])  # type: ignore[union-attr]
        made.optimizer.step()  # type: ignore[union-attr]
        made.lr_scheduler.step()  # type: ignore[union-attr]
    expected = [step / 6 if step < 6 else (30 - step) / 24 for step in range(31)]
    assert rates == pytest.approx(expected, abs=1e-9)
    assert type(made.optimizer).__name__ == "AdamW"


def test_account_is_plain_json(done: Checkpoint) -> None:
    text = (done.folder / "training.json").read_text()
    assert json.loads(text)["inputs"]["settings"]["learning_rate"] == 0.01
    assert str(done.folder) not in text
