"""Seconds per optimizer step while a policy listens, against TRL's own SFTTrainer on the same rows.

All trainers see the same rows in the same order with the same adapter, in turns, so that a machine that slows down
slows all of them. `weighted` is the trainer of every other method, which neither listens nor estimates.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from coresift import world
from coresift.bench.timing import Row, Table, finish
from coresift.models.load import load_model, load_tokenizer, resolve_device
from coresift.models.lora import LoraSettings, attach_lora
from coresift.models.quiet import quiet
from coresift.models.render import Rendered, Renderer
from coresift.models.rendered_pool import render_pool
from coresift.training.build import build_trainer
from coresift.training.observed import ObservedTrainer, ObservingCollator, RoundOrder
from coresift.training.rates import Rates
from coresift.training.settings import TrainSettings

RANK = 64
Trainers = dict[str, Callable[[Path], Any]]


def steps_table(model: str | None, steps: int, batch: int, repeats: int, tokens: int, device: str) -> Table:
    """One row per trainer.

    Args:
        model: Folder or Hub id; None: the embedded model on its own pool.
        steps: Optimizer steps per repeat; the first two are not counted.
        batch: Examples per step, all in one forward pass.
        repeats: How often each trainer runs.
        tokens: Length of the rows for a model that is not the embedded one.
        device: cpu or cuda.
    """
    name = str(world.model_path()) if model is None else model
    rows = _rows(steps * batch) if model is None else _made_up(steps * batch, tokens)
    found: dict[str, list[float]] = {}
    for _ in range(repeats):
        for trainer, make in _trainers(name, rows, batch, device).items():
            with tempfile.TemporaryDirectory() as folder, quiet():
                found.setdefault(trainer, []).append(_median_step(make(Path(folder))))
    where = "the embedded model" if model is None else model
    return Table(
        f"one optimizer step of {batch} examples, LoRA of rank {RANK} on {where}, median of {steps - 2} steps",
        tuple(Row(trainer, tuple(seconds)) for trainer, seconds in found.items()),
        notes=("SFTTrainer also computes entropy and token accuracy, so `weighted` is the stricter thing to beat",),
    )


def _rows(n: int) -> list[Rendered]:
    pool = world.pool()
    renderer = Renderer(load_tokenizer(world.model_path()), max_tokens=256)
    found = render_pool(pool.take(range(min(n, len(pool)))), renderer).rows
    return [row for row in found if row is not None]


def _made_up(n: int, tokens: int) -> list[Rendered]:
    """Rows of one length with random tokens, the second half of each a response."""
    numbers = np.random.default_rng(0).integers(5, 200, size=(n, tokens)).tolist()
    response = (False,) * (tokens // 2) + (True,) * (tokens - tokens // 2)
    return [Rendered(f"e{place}", tuple(each), response) for place, each in enumerate(numbers)]


def _trainers(name: str, rows: list[Rendered], batch: int, device: str) -> Trainers:
    placed = resolve_device(device)
    settings = TrainSettings(
        lora=LoraSettings(rank=RANK, alpha=16, dropout=0.0),
        epochs=1,
        learning_rate=1e-4,
        batch_size=batch,
        micro_batch_size=batch,
        warmup_ratio=0.0,
        save_steps=10**9,
    )

    def ours(folder: Path, make: Callable[..., Any] | None = None) -> Any:
        return build_trainer(
            load_model(name, dtype="auto", device=device),
            load_tokenizer(name),
            rows,
            out=folder,
            settings=settings,
            weights=np.ones(len(rows)),
            seed=0,
            device=placed,
            make=make,
        )

    def listening(folder: Path, **measured: bool) -> Any:
        def make(**kwargs: Any) -> ObservedTrainer:
            kwargs["order"] = RoundOrder([len(row.tokens) for row in rows], step_size=batch, seed=0)
            kwargs["data_collator"] = ObservingCollator(rows, pad_token=0)

            def one_round(trainer: ObservedTrainer, number: int) -> bool:
                trainer.train_round(number, np.arange(len(rows)))
                return False

            return ObservedTrainer(rates=Rates("steps"), most_rounds=1, rounds=one_round, **measured, **kwargs)

        return ours(folder, make)

    return {
        "SFTTrainer": lambda folder: _plain(name, rows, ours(folder), device),
        "weighted": ours,
        "in rounds, delta none": listening,
        "in rounds, delta paper": lambda folder: listening(folder, directions=True),
        "in rounds, delta first-order": lambda folder: listening(folder, first_order=True),
    }


def _plain(name: str, rows: list[Rendered], like: Any, device: str) -> Any:
    """TRL's trainer on the same rows in the order of `like`, with its arguments."""
    from datasets import Dataset
    from torch.utils.data import SequentialSampler
    from transformers.trainer_callback import PrinterCallback
    from trl import SFTTrainer

    class Plain(SFTTrainer):
        def _get_train_sampler(self, *_: Any) -> Any:
            return SequentialSampler(self.train_dataset)  # type: ignore[arg-type]

        def create_model_card(self, *_: Any, **__: Any) -> None:
            pass

    chosen = [rows[int(place)] for place in like.order.positions(0)]
    labels = [
        [token if target else -100 for token, target in zip(row.tokens, row.response, strict=True)] for row in chosen
    ]
    data = Dataset.from_dict({"input_ids": [list(row.tokens) for row in chosen], "labels": labels})
    like.args.remove_unused_columns = True
    model = attach_lora(
        load_model(name, dtype="auto", device=device), LoraSettings(rank=RANK, alpha=16, dropout=0.0), seed=0
    )
    trainer = Plain(model=model, args=like.args, train_dataset=data, processing_class=load_tokenizer(name))
    trainer.remove_callback(PrinterCallback)
    return trainer


def _median_step(trainer: Any) -> float:
    """Median seconds between the ends of optimizer steps, the first two left out."""
    from transformers import TrainerCallback

    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            finish()
            ends.append(time.perf_counter())

    trainer.add_callback(Clock())
    trainer.args.logging_steps = 10**9
    with torch.random.fork_rng(devices=[]):
        trainer.train()
    return float(np.median(np.diff(ends[1:])))
