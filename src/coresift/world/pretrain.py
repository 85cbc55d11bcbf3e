"""Pretrain the world's base model from nothing: `python -m coresift.world.pretrain [--out FOLDER]`.

Deterministic for a given processor and number of threads. Writes the model folder and, beside it, the log.
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from coresift import seeds
from coresift.files import write_json
from coresift.settings import Settings
from coresift.world import model_path
from coresift.world.base_text import base_text
from coresift.world.probe import completions_right, exercises, statements
from coresift.world.tokenizer import MAX_POSITIONS, build_tokenizer

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

TOKENIZER_DOCUMENTS = 4000


class PretrainSettings(Settings):
    """Size of the model and of its training."""

    width: int = 192
    layers: int = 4
    heads: int = 6
    feed_forward: int = 512
    row_tokens: int = 128
    batch_rows: int = 24
    steps: int = 2200
    learning_rate: float = 3e-3
    warmup_steps: int = 100
    weight_decay: float = 0.1
    threads: int = 2
    seed: int = 0
    probe_every: int = 250


def pack(tokenizer: "PreTrainedTokenizerBase", documents: list[str], row_tokens: int) -> torch.Tensor:
    """Documents one after the other, each as bos, text, eos, cut into rows [rows, row_tokens]; the rest is dropped.

    A leading space makes the first word of a document the same token as within it.
    """
    stream: list[int] = []
    for ids in tokenizer([f" {text}" for text in documents], add_special_tokens=False).input_ids:
        stream += [tokenizer.bos_token_id, *ids, tokenizer.eos_token_id]
    rows = len(stream) // row_tokens
    return torch.tensor(stream[: rows * row_tokens]).view(rows, row_tokens)


def build_model(settings: PretrainSettings, tokenizer: "PreTrainedTokenizerBase") -> "LlamaForCausalLM":
    """A Llama with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seeds.derive(settings.seed, "weights"))
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.width,
        intermediate_size=settings.feed_forward,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        max_position_embeddings=MAX_POSITIONS,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def rate_at(step: int, settings: PretrainSettings) -> float:
    """Learning rate: linear warm-up, then a cosine down to zero."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    done = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def optimizer_of(model: torch.nn.Module, settings: PretrainSettings) -> torch.optim.AdamW:
    """AdamW; norms are not decayed."""
    wide = [p for p in model.parameters() if p.ndim > 1]
    thin = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": wide, "weight_decay": settings.weight_decay}, {"params": thin, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), fused=True)


def loss_of(model: "LlamaForCausalLM", rows: torch.Tensor) -> torch.Tensor:
    """Mean next-token loss in nats, matrix products in bfloat16."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(input_ids=rows[:, :-1], use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), rows[:, 1:].flatten())


def fit(model: "LlamaForCausalLM", tokenizer: "PreTrainedTokenizerBase", settings: PretrainSettings) -> list[dict]:
    """Train in place on fresh documents; returns the log, one record per probe."""
    per_step = settings.batch_rows * settings.row_tokens
    count = math.ceil(settings.steps * per_step / 38)
    rows = pack(tokenizer, base_text(settings.seed, count), settings.row_tokens)
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seeds.derive(settings.seed, "rows")))]
    optimizer, log, began, total = optimizer_of(model, settings), [], time.monotonic(), 0.0
    for step in range(settings.steps):
        batch = rows[torch.arange(step * settings.batch_rows, (step + 1) * settings.batch_rows) % len(rows)]
        loss = loss_of(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, settings)
        optimizer.step()
        optimizer.zero_grad()
        total += loss.item()
        if (step + 1) % settings.probe_every == 0 or step + 1 == settings.steps:
            since = (step % settings.probe_every) + 1
            log.append(_record(model, tokenizer, step + 1, total / since, per_step, time.monotonic() - began))
            print(json.dumps(log[-1]), flush=True)
            total = 0.0
    return log


def _record(model, tokenizer, step: int, loss: float, per_step: int, seconds: float) -> dict:  # type: ignore[no-untyped-def]
    model.eval()
    facts_right = completions_right(model, tokenizer, statements())
    skills_right = completions_right(model, tokenizer, exercises())
    model.train()
    return {
        "step": step,
        "tokens": step * per_step,
        "loss": round(loss, 4),
        "facts": round(facts_right, 4),
        "skills": round(skills_right, 4),
        "seconds": round(seconds, 1),
    }


def save(model: "LlamaForCausalLM", tokenizer: "PreTrainedTokenizerBase", folder: Path) -> None:
    """Write the model in bfloat16 and its tokenizer."""
    torch.nn.Module.to(model, torch.bfloat16)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder, save_jinja_files=False)


def main() -> None:
    """Parse the command line, pretrain, write model and log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=model_path())
    for name, field in PretrainSettings.model_fields.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(field.default), default=field.default)
    arguments = vars(parser.parse_args())
    out = arguments.pop("out")
    settings = PretrainSettings(**arguments)
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(True)
    began = time.monotonic()
    tokenizer = build_tokenizer(base_text(settings.seed, TOKENIZER_DOCUMENTS))
    model = build_model(settings, tokenizer)
    log = fit(model, tokenizer, settings)
    save(model, tokenizer, out)
    size = sum(path.stat().st_size for path in out.iterdir())
    summary = {
        "settings": settings.model_dump(),
        "parameters": model.num_parameters(),
        "folder_bytes": size,
        "torch": torch.__version__,
        "seconds": round(time.monotonic() - began, 1),
        "log": log,
    }
    write_json(out.parent / "pretraining.json", summary)


if __name__ == "__main__":
    main()
