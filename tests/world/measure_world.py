"""Measure the world: exact match of the base model, after a random 5 % (three seeds) and after the full pool.

Run by hand: `OMP_WAIT_POLICY=passive python tests/world/measure_world.py --out FOLDER [--model FOLDER]`. No selection
method is involved. Writes FOLDER/figures.json.
"""

import argparse
import time
from collections import defaultdict
from pathlib import Path

import torch

from coresift import files, seeds, world
from coresift.evaluation.generation import generate
from coresift.models.load import load_model, load_tokenizer
from coresift.models.lora import LoraSettings
from coresift.models.render import Renderer
from coresift.models.rendered_pool import render_pool
from coresift.training.checkpoints import load_trained
from coresift.training.settings import TrainSettings
from coresift.training.trainer import train


def exact(model: torch.nn.Module, renderer: Renderer) -> dict:
    """Share of exactly right answers: overall, by kind and by family."""
    items, began = world.test_items(), time.monotonic()
    prompts = [renderer.prompt(item.example.messages[:-1]) for item in items]
    answers = generate(
        model, prompts, stop_tokens=renderer.stop_tokens, pad_token=renderer.pad_token, max_new_tokens=24
    )
    groups: dict[str, list[bool]] = defaultdict(list)
    for item, answer in zip(items, answers, strict=True):
        right = renderer.decode(answer).strip() == item.example.messages[-1].content
        for group in ("all", item.kind, f"family {item.family}"):
            groups[group].append(right)
    shares = {group: round(sum(rights) / len(rights), 3) for group, rights in groups.items()}
    return {**shares, "evaluation_seconds": round(time.monotonic() - began, 1)}


def main() -> None:
    """Parse the command line, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=world.model_path())
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    settings = TrainSettings(
        lora=LoraSettings(rank=given.rank, alpha=2 * given.rank, dropout=0.0),
        epochs=given.epochs,
        learning_rate=given.rate,
        batch_size=given.batch,
        micro_batch_size=given.batch,
    )
    renderer = Renderer(load_tokenizer(given.model), max_tokens=256)
    rows = render_pool(world.pool(), renderer).rows
    figures = {"base": exact(load_model(given.model, dtype="float32"), renderer)}
    print("base", figures["base"], flush=True)
    subsets = {
        f"random 5 %, seed {seed}": seeds.generator(seed, "measure").permutation(len(rows))[: len(rows) // 20]
        for seed in range(given.seeds)
    }
    for name, positions in {**subsets, "full pool": range(len(rows))}.items():
        out = given.out / name.replace(" ", "-").replace("%", "percent").replace(",", "")
        checkpoint = train(given.model, [rows[i] for i in positions], out=out, settings=settings, device="cpu")
        tuned = load_trained(given.model, checkpoint)
        figures[name] = {**exact(tuned, renderer), "training_seconds": round(checkpoint.summary["seconds"], 1)}
        print(name, figures[name], flush=True)
    files.write_json(given.out / "figures.json", {"settings": settings.model_dump(mode="json"), "figures": figures})


if __name__ == "__main__":
    main()
