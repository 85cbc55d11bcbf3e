"""Runs gradient passes when told to, in a process of its own: this build's, or another's whose sources come first.

    python gradient_worker.py JOB < NAMES      one JSON line per name

It uses only what builds of any age have, besides what a pass itself asks for.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from coresift.bench.machine import peak_gib
from coresift.extract.run import GradientExtractor
from coresift.features.specs import GradientSpec
from coresift.models.batches import collate
from coresift.models.load import load_model
from coresift.models.lora import LoraSettings, attach_lora, lora_parameters
from coresift.models.losses import example_losses, token_nll
from coresift.models.render import Rendered

PROPAGATED: tuple[Any, ...] = ("response", "knowledge")
LOSSES: tuple[Any, ...] = ("knowledge", "following")


class Worker:
    """Does the passes of a job.

    Args:
        job: `model` (a folder, or the shape of a random Llama), `rows` ([id, tokens, response]), `rank`, `dim`,
            `batch_tokens`, `device`, `out`, and `passes`: name -> fields of the spec, with `load` for the dtype of the
            model.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.rows = [Rendered(id, tuple(tokens), tuple(map(bool, response))) for id, tokens, response in job["rows"]]
        self._extractors: dict[tuple[str, bool, bool], GradientExtractor] = {}

    def work(self, name: str) -> Callable[[], Any]:
        """What is timed under this name."""
        extractor, specs = self._pass(name)
        if self.job["passes"][name].get("bare"):
            return lambda: self._bare(extractor)
        if self.job["passes"][name].get("alone"):
            return lambda: self._alone(extractor)
        projections = extractor.projections(specs)
        return lambda: extractor.gradients(self.rows, specs, projections)

    def _pass(self, name: str) -> tuple[GradientExtractor, list[GradientSpec]]:
        fields = {key: value for key, value in self.job["passes"][name].items() if key not in ("load", "bare", "alone")}
        dtype = self.job["passes"][name].get("load", self.job.get("dtype", "float32"))
        extractor = self._extractor(dtype, of=fields.get("of", "lora"))
        return extractor, [GradientSpec(loss=loss, dim=self.job["dim"], **fields) for loss in LOSSES]

    def _extractor(self, dtype: str, *, of: str) -> GradientExtractor:
        """Untuned for linear maps, folded for the head, as a run does it."""
        kind = (dtype, of == "linear", of == "head" and dtype == "float32")
        if kind not in self._extractors:
            model: Any = self._load(dtype)
            if of != "linear":
                model = attach_lora(model, LoraSettings(rank=self.job["rank"], alpha=2 * self.job["rank"]), seed=0)
                noise = torch.Generator().manual_seed(1)
                with torch.no_grad():
                    for _, weight in lora_parameters(model):
                        weight.add_(0.01 * torch.randn(weight.shape, generator=noise).to(weight))
                model = model.merge_and_unload().eval() if kind[2] else model.to(model.dtype)
            self._extractors[kind] = GradientExtractor(model, 0, 0, batch_tokens=self.job["batch_tokens"])
        return self._extractors[kind]

    def _load(self, dtype: str) -> Any:
        where = self.job["model"]
        if isinstance(where, dict):
            return random_llama(where, dtype, self.job["device"])
        return load_model(where, dtype=dtype, device=self.job["device"])

    def _bare(self, extractor: GradientExtractor) -> None:
        """Training passes over the batches that extraction runs: the gradients of the adapter, summed over a batch."""
        weights = [weight for _, weight in lora_parameters(extractor.model)]
        for batch in self._batches(extractor):
            torch.autograd.grad(example_losses(token_nll(extractor.model, batch), batch.targets).sum(), weights)

    def _batches(self, extractor: GradientExtractor) -> Iterator[Any]:
        for loss in PROPAGATED:
            for places in extractor.batches(self.rows, loss):
                yield extractor.batch([self.rows[place] for place in places], loss)

    def _alone(self, extractor: GradientExtractor) -> None:
        """The plain way: autograd over the weights, a batch of one, both losses."""
        weights = [weight for _, weight in lora_parameters(extractor.model)]
        for row in self.rows:
            for loss in PROPAGATED:
                batch = collate([row], loss, start_token=0, pad_token=0).to(self.job["device"])
                torch.autograd.grad(example_losses(token_nll(extractor.model, batch), batch.targets).sum(), weights)

    def keep(self, name: str, found: Any) -> None:
        """Write the rows of a pass, [losses, n, dim] float32, for whoever compares them."""
        if isinstance(found, dict):
            rows = torch.stack([values.float().cpu() for values in found.values()])
            np.save(Path(self.job["out"]) / f"{name}.npy", rows.numpy())

    def flops(self, name: str) -> float:
        """Floating-point operations of one run of a pass."""
        extractor, specs = self._pass(name)
        return extractor.flops_per_token(specs) * sum(len(row.tokens) + row.n_targets + 1 for row in self.rows)

    def predicted(self, name: str) -> dict[str, int]:
        """Bytes that this build predicts for a pass, by part."""
        extractor, specs = self._pass(name)
        return extractor.predicted_memory(self.rows, specs)


def random_llama(shape: dict[str, Any], dtype: str, device: str) -> Any:
    """A Llama with random weights, made where it runs: what passes cost does not depend on their values."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tied = shape["hidden_size"] < 4096
    config = LlamaConfig(**shape, max_position_embeddings=8192, tie_word_embeddings=tied, dtype=dtype)
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        with torch.device(device):
            torch.manual_seed(0)
            return LlamaForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(before)


def spent(work: Callable[[], Any], device: str) -> tuple[dict[str, Any], Any]:
    """CPU and wall seconds of one run, and its answer."""
    cpu, wall = time.process_time(), time.perf_counter()
    found = work()
    if device != "cpu":
        torch.cuda.synchronize()
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}, found


def main(job: Path) -> None:
    """Answer names with seconds until there are no more."""
    import peft  # noqa: F401 what a model needs is there before memory is counted
    import transformers.models.llama  # noqa: F401

    before = peak_gib()
    worker = Worker(json.loads(job.read_text(encoding="utf-8")))
    for line in sys.stdin:
        command, _, name = line.strip().partition(" ")
        if command == "time":
            answer, found = spent(worker.work(name), worker.job["device"])
            worker.keep(name, found)
        elif command == "flops":
            answer = {"flops": worker.flops(name)}
        else:
            parts = worker.predicted(name)
            seconds, _ = spent(worker.work(name), worker.job["device"])
            answer = {**seconds, "predicted": parts, "peak": (peak_gib() - before) * 2**30}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
