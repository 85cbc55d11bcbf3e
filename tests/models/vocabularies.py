"""Small tokenizers of every shape that models have, made in code: what they do with spaces is what matters here."""

from functools import cache

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

SPECIAL = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "[INST]", "[/INST]"]
SENTENCEPIECE = ("first", "always", "prepend", "unigram")
BYTE_LEVEL = ("bytes", "words", "trimmed")
KINDS = (*SENTENCEPIECE, *BYTE_LEVEL)
"""first, always: Metaspace (`legacy` false, true); prepend: a normalizer, as in Phi-3; unigram: no merges, Metaspace.
bytes: no word boundaries, so anything may merge; words: GPT-2's boundaries; trimmed: with offsets without spaces."""

_BLOCK = "\u2581"
_PAIRS = ["__", "____", "_t", "he", "_the", "_A", "An", "nn", "_Ann", "Ann", "re", "_re", "ret", "_ret", ":_"]


@cache
def vocabulary(kind: str, template: str | None = None) -> PreTrainedTokenizerFast:
    """A tokenizer with BOS `<s>`, EOS `</s>` and a chat template."""
    backend = {"unigram": _unigram}.get(kind, _sentencepiece if kind in SENTENCEPIECE else _byte_level)(kind)
    backend.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    made = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    made.chat_template = template
    return made


def _spaces(backend: Tokenizer, kind: str) -> None:
    back = [decoders.Replace(_BLOCK, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    backend.decoder = decoders.Sequence(back)
    if kind == "prepend":
        backend.normalizer = normalizers.Sequence([normalizers.Prepend(_BLOCK), normalizers.Replace(" ", _BLOCK)])
    else:
        scheme = "always" if kind in ("always", "unigram") else "first"
        backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement=_BLOCK, prepend_scheme=scheme, split=False)


def _pieces() -> list[str]:
    letters = [chr(code) for code in range(33, 127)]
    pairs = [pair.replace("_", _BLOCK) for pair in _PAIRS]
    return [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), _BLOCK, *letters, *pairs]


def _sentencepiece(kind: str) -> Tokenizer:
    vocab = {piece: place for place, piece in enumerate(dict.fromkeys(_pieces()))}
    merges = [_parts(pair.replace("_", _BLOCK), vocab) for pair in _PAIRS]
    backend = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    _spaces(backend, kind)
    return backend


def _unigram(kind: str) -> Tokenizer:
    pieces = list(dict.fromkeys(_pieces()))
    scores = [(piece, 0.0 if piece in SPECIAL else -10.0 + len(piece) if len(piece) < 6 else -20.0) for piece in pieces]
    backend = Tokenizer(models.Unigram(scores, unk_id=0, byte_fallback=True))
    _spaces(backend, kind)
    return backend


def _byte_level(kind: str) -> Tokenizer:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pairs = [pair.replace("_", "\u0120") for pair in [*_PAIRS, "\n\n", ".\n", ">\n"]]
    pairs = [pair.replace("\n", "\u010a") for pair in pairs]
    vocab = {piece: place for place, piece in enumerate(dict.fromkeys([*SPECIAL, *letters, *pairs]))}
    backend = Tokenizer(models.BPE(vocab=vocab, merges=[_parts(pair, vocab) for pair in pairs]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind != "bytes")
    backend.decoder = decoders.ByteLevel()
    if kind == "trimmed":
        backend.post_processor = processors.ByteLevel(trim_offsets=True)
    return backend


def _parts(pair: str, vocab: dict[str, int]) -> tuple[str, str]:
    """The two known pieces that a longer one is merged from, the left one longest."""
    return next((pair[:at], pair[at:]) for at in range(len(pair) - 1, 0, -1) if {pair[:at], pair[at:]} <= set(vocab))
