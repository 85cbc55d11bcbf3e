"""A Llama of any shape with random weights: what passes cost does not depend on their values."""

import argparse
import re
from pathlib import Path

import torch

HEAD = 64
"""Width of an attention head."""


def shape(text: str) -> tuple[int, int, int]:
    """Width, blocks and vocabulary from text such as 512x8x4096, for the options of a benchmark."""
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)x([1-9]\d*)", text)
    if found is None or int(found[1]) % HEAD:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxBLOCKSxVOCABULARY, the width a multiple of {HEAD}")
    return int(found[1]), int(found[2]), int(found[3])


def save_llama(folder: Path, width: int, blocks: int, vocabulary: int) -> Path:
    """Write a model folder without a tokenizer: tied embeddings, feed-forward of 8/3 the width, float32."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=-(-8 * width // 3 // 32) * 32,
        num_hidden_layers=blocks,
        num_attention_heads=width // HEAD,
        num_key_value_heads=width // HEAD,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder
