"""Utilities: pairs per second with the example's keys and values shared, against every pair encoded whole.

A fresh Llama reads random tokens, so lengths are exact; what the tokens say does not change the time. The loop that
encodes pairs whole takes its logits at all positions, in batches of the same size. The cost model counts the products
with weights alone; attention comes on top in both ways.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from coresift.bench.entry import positive
from coresift.bench.machine import peak_gib
from coresift.bench.timing import Row, Table, timed
from coresift.extract.icl_cost import ModelCost, model_cost
from coresift.extract.icl_prefix import after
from coresift.models.batches import by_length

HEADS = 64
"""Width of an attention head."""


def options(parser: argparse.ArgumentParser) -> None:
    """Lengths and the model."""
    parser.add_argument(
        "--lengths",
        type=lengths,
        nargs="+",
        default=[(200, 60, 120), (800, 60, 120)],
        metavar="E/Q/R",
        help="tokens of example, query and response (default 200/60/120 800/60/120)",
    )
    parser.add_argument("--rows", type=positive, default=64, help="rows that share an example (default %(default)s)")
    parser.add_argument("--naive-rows", type=positive, default=16, help="rows encoded whole (default %(default)s)")
    parser.add_argument("--repeats", type=positive, default=3, help="runs of each, after one not counted (default 3)")
    parser.add_argument("--hidden", type=positive, default=512, help="width of the model (default %(default)s)")
    parser.add_argument("--layers", type=positive, default=6, help="layers of the model (default %(default)s)")
    parser.add_argument("--vocabulary", type=positive, default=16384, help="tokens it knows (default %(default)s)")
    parser.add_argument("--batch-tokens", type=positive, default=8192, help="rows x length (default %(default)s)")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="default %(default)s")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where the model is (default cpu)")


def lengths(text: str) -> tuple[int, int, int]:
    """`200/60/120` -> (200, 60, 120)."""
    parts = tuple(positive(part) for part in text.split("/"))
    if len(parts) != 3:
        raise argparse.ArgumentTypeError(f"{text} is not three lengths such as 200/60/120")
    return parts


def measure(asked: argparse.Namespace) -> Iterator[Table]:
    """One table per triple of lengths."""
    model = llama(asked.hidden, asked.layers, asked.vocabulary, max(map(sum, asked.lengths)))
    model.to(asked.device, getattr(torch, asked.dtype))
    for triple in asked.lengths:
        yield _compared(model, triple, asked)


def llama(hidden: int, layers: int, vocabulary: int, positions: int) -> nn.Module:
    """A freshly initialised Llama in evaluation mode, untied."""
    from transformers import AutoConfig, AutoModelForCausalLM

    heads = max(hidden // HEADS, 1)
    config = AutoConfig.for_model(
        "llama",
        hidden_size=hidden,
        intermediate_size=hidden * 8 // 3,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        vocab_size=vocabulary,
        max_position_embeddings=positions,
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(config).eval()


def naive(model: nn.Module, sequences: list[np.ndarray], response: int, batch_tokens: int) -> list[Tensor]:
    """Every pair from its first token, logits and float32 log-probabilities everywhere."""
    device = next(model.parameters()).device
    found = []
    for places in by_length([len(tokens) for tokens in sequences], max_tokens=batch_tokens):
        ids = torch.from_numpy(np.stack([sequences[place] for place in places])).long().to(device)
        with torch.inference_mode():
            logs = model(input_ids=ids, use_cache=False).logits[:, :-1].float().log_softmax(dim=-1)
            chosen = logs.gather(2, ids[:, 1:, None]).squeeze(2)
        found += list(chosen[:, -response:])
    return found


def _compared(model: nn.Module, triple: tuple[int, int, int], asked: argparse.Namespace) -> Table:
    example, query, response = triple
    few = min(asked.naive_rows, asked.rows)
    draw = np.random.default_rng(0)
    prefix = draw.integers(asked.vocabulary, size=example, dtype=np.int32)
    suffixes = list(draw.integers(asked.vocabulary, size=(asked.rows, query + response), dtype=np.int32))
    joined = [np.concatenate([prefix, suffix]) for suffix in suffixes[:few]]
    sizes, cost = [response] * asked.rows, model_cost(model)
    answers: dict[str, list[Tensor]] = {}

    def encoded_whole() -> None:
        answers["whole"] = naive(model, joined, response, asked.batch_tokens)

    def shared() -> None:
        answers["shared"] = after(model, prefix.tolist(), suffixes, sizes, batch_tokens=asked.batch_tokens)

    names = ("every pair whole, logits everywhere", f"example shared by {asked.rows} rows")
    first, second = _in_turns(dict(zip(names, (encoded_whole, shared), strict=True)), asked.repeats)
    apart = max(float((a - b).abs().max()) for a, b in zip(answers["whole"], answers["shared"], strict=False))
    rows = (_row(first, few, cost.naive(*triple)), _row(second, asked.rows, cost.shared(*triple, asked.rows)))
    return Table(_title(triple, asked, cost), rows, _notes(rows, apart))


def _in_turns(works: Mapping[str, Callable[[], None]], repeats: int) -> list[Row]:
    """Time each in turn, again and again, so that a busy machine slows them alike."""
    for work in works.values():
        work()
    rounds = [[timed(name, work, 1) for name, work in works.items()] for _ in range(repeats)]
    return [Row(runs[0].name, tuple(run.seconds[0] for run in runs)) for runs in zip(*rounds, strict=True)]


def _row(timing: Row, pairs: int, flops: float) -> Row:
    rate = pairs / min(timing.seconds)
    facts = {"pairs_per_second": rate, "GFLOP_per_pair": flops / 1e9, "GFLOP/s": rate * flops / 1e9}
    return Row(timing.name, timing.seconds, {**facts, "peak_GiB": peak_gib()})


def _title(triple: tuple[int, int, int], asked: argparse.Namespace, cost: ModelCost) -> str:
    size = f"{(cost.body + cost.head) / 1e6:.1f} M weights that multiply"
    shape = f"Llama {asked.hidden} x {asked.layers}, {size}, {asked.dtype}"
    return f"utilities at example/query/response {'/'.join(map(str, triple))}, {shape}"


def _notes(rows: tuple[Row, Row], apart: float) -> tuple[str, ...]:
    whole, shared = (row.facts for row in rows)
    measured = float(shared["pairs_per_second"] / whole["pairs_per_second"])
    modelled = whole["GFLOP_per_pair"] / shared["GFLOP_per_pair"]
    return (
        f"pairs per second, quickest runs: {measured:.2f}x; the cost model says {modelled:.2f}x, so the time is "
        f"{modelled / measured:.2f} times the modelled one",
        f"largest difference of a token's log-probability: {apart:.1e} nats",
        "the rows time different numbers of pairs: compare pairs per second, which are those of the quickest run, "
        "because other work on the machine only adds time",
    )
