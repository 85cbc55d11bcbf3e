"""Tiny two-layer models of six families, a byte-level tokenizer and a chat template in the style of each family."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from coresift.data.pool import Example, Message, Pool

LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}"
    "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content | trim + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
QWEN25 = (
    "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\nYou are helpful.<|im_end|>\n' }}{% endif %}"
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
QWEN3 = (
    "{% set ns = namespace(query=messages | length - 1, open=true) %}"
    "{% for m in messages[::-1] %}"
    "{% if ns.open and m.role == 'user' %}"
    "{% set ns.query = messages | length - 1 - loop.index0 %}{% set ns.open = false %}"
    "{% endif %}{% endfor %}"
    "{% for m in messages %}"
    "{% if m.role == 'assistant' %}"
    "{% set thought = '' %}{% set answer = m.content %}"
    "{% if '</think>' in m.content %}"
    "{% set thought = m.content.split('</think>')[0].split('<think>')[-1].strip('\n') %}"
    "{% set answer = m.content.split('</think>')[-1].lstrip('\n') %}"
    "{% endif %}"
    "{% if loop.index0 > ns.query and (loop.last or thought) %}"
    "{{ '<|im_start|>assistant\n<think>\n' + thought + '\n</think>\n\n' + answer.lstrip('\n') + '<|im_end|>\n' }}"
    "{% else %}{{ '<|im_start|>assistant\n' + answer + '<|im_end|>\n' }}{% endif %}"
    "{% else %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% set ns = namespace(system='') %}{% for m in messages %}"
    "{% if m.role == 'system' %}{% set ns.system = m.content + '\n\n' %}"
    "{% elif m.role == 'user' %}{{ '[INST] ' + (ns.system if loop.index0 < 2 else '') + m.content + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}"
)
GEMMA = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% set role = 'model' if m.role == 'assistant' else m.role %}"
    "{{ '<start_of_turn>' + role + '\n' + m.content | trim + '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
PHI3 = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)


@dataclass(frozen=True)
class Family:
    """A chat template with the special tokens it needs."""

    template: str | None
    bos: str | None
    eos: str
    pad: str | None
    extra: tuple[str, ...] = ()


FAMILIES = {
    "llama3": Family(LLAMA3, "<|begin_of_text|>", "<|eot_id|>", None, ("<|start_header_id|>", "<|end_header_id|>")),
    "qwen2.5": Family(QWEN25, None, "<|im_end|>", "<|endoftext|>", ("<|im_start|>",)),
    "qwen3": Family(QWEN3, None, "<|im_end|>", "<|endoftext|>", ("<|im_start|>", "<think>", "</think>")),
    "mistral": Family(MISTRAL, "<s>", "</s>", "<pad>", ("[INST]", "[/INST]")),
    "gemma": Family(GEMMA, "<bos>", "<eos>", "<pad>", ("<start_of_turn>", "<end_of_turn>")),
    "phi3": Family(
        PHI3, "<s>", "<|endoftext|>", "<|endoftext|>", ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
    ),
    "plain": Family(None, "<s>", "</s>", "<pad>"),
}
"""Template families; "plain" has no chat template."""

ARCHITECTURES = {
    "llama": "llama3",
    "qwen3": "qwen3",
    "mistral": "mistral",
    "gemma": "gemma",
    "phi3": "phi3",
    "opt": "plain",
}
"""Architecture -> the template family it is tested with."""

MERGES = [("Ċ", "Ċ"), ("Ġ", "t"), ("h", "e"), ("Ġt", "he"), (">", "Ċ"), ("Ġ", "Ġ"), ("a", "n"), ("]", "Ġ"), (":", "Ċ")]
"""A few merges, some across places where pieces and responses meet."""


@cache
def tokenizer(family: str = "llama3") -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with a family's special tokens and chat template."""
    chosen = FAMILIES[family]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {letter: place for place, letter in enumerate([*letters, *("".join(pair) for pair in MERGES)])}
    backend = Tokenizer(models.BPE(vocab=vocab, merges=MERGES))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    names = [name for name in (chosen.bos, chosen.eos, chosen.pad, *chosen.extra) if name is not None]
    backend.add_special_tokens([AddedToken(name, special=True) for name in dict.fromkeys(names)])
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=chosen.bos, eos_token=chosen.eos, pad_token=chosen.pad
    )
    wrapped.chat_template = chosen.template
    return wrapped


def model(architecture: str = "llama", *, seed: int = 0, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """A freshly initialised two-layer model in evaluation mode; large enough weights that losses differ clearly."""
    sizes: dict[str, Any] = {
        "vocab_size": 288,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 512,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }
    if architecture == "opt":
        sizes |= {"ffn_dim": 64, "word_embed_proj_dim": 32, "dropout": 0.0, "pad_token_id": 1}
    else:
        sizes |= {"intermediate_size": 64, "num_key_value_heads": 2, "head_dim": 8, "initializer_range": 0.1}
    config = AutoConfig.for_model(architecture, **sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        built = AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for weight in built.parameters():
                weight.add_(torch.randn_like(weight) * 0.1)
    return built.to(dtype).eval()


def save(folder: Path, architecture: str = "llama", *, family: str | None = None, seed: int = 0) -> Path:
    """Write a tiny model and its tokenizer as a model folder."""
    model(architecture, seed=seed).save_pretrained(folder)
    tokenizer(family or ARCHITECTURES[architecture]).save_pretrained(folder)
    return folder


def example(*turns: str, id: str = "e0", system: str | None = None) -> Example:
    """An example from alternating user and assistant turns."""
    roles = ("user", "assistant")
    messages = [Message(roles[place % 2], turn) for place, turn in enumerate(turns)]  # type: ignore[arg-type]
    head = [] if system is None else [Message("system", system)]
    return Example(id=id, messages=(*head, *messages))


def pool(n: int = 8) -> Pool:
    """A small pool of questions with answers of many lengths; every third has two rounds."""
    rows = []
    for place in range(n):
        turns = [
            f"Question {place}: name the number {place * 7}",
            "the answer is " + "an " * (place % 5) + str(place * 7),
        ]
        if place % 3 == 2:
            turns += ["And then?", f"the end\n\n{place}"]
        rows.append(example(*turns, id=f"e{place}"))
    return Pool(rows)
