"""Sentence embeddings of examples, and their cosines with other examples, into the feature store."""

from collections.abc import Callable, Sequence

from torch import Tensor

from coresift.data.pool import Example, Message
from coresift.execution.base import Executor
from coresift.extract.shards import Account, fill
from coresift.features.store import FeatureStore
from coresift.features.utilities import EmbeddingSpec, SimilaritySpec, Text
from coresift.models.encoders import Encoded, Encoder, read_layout


def text_of(example: Example, text: Text = "full") -> str:
    """What of a conversation is embedded, turns joined by line breaks.

    `prompt` is everything before the last assistant turn, `response` that turn, `full` both.
    """
    last = max(place for place, message in enumerate(example.messages) if message.role == "assistant")
    turns: dict[Text, Sequence[Message]] = {
        "full": example.messages[: last + 1],
        "prompt": example.messages[:last],
        "response": example.messages[last : last + 1],
    }
    return "\n".join(message.content for message in turns[text])


def embedding_identity(spec: EmbeddingSpec) -> dict[str, str]:
    """What embeddings depend on besides pool and spec, for the identity of a store: the encoder's files.

    Raises:
        ModelError: If there is no such encoder.
    """
    return {"encoder": read_layout(spec.model).fingerprint}


def extract_embeddings(
    encoder: Encoder,
    examples: Sequence[Example],
    store: FeatureStore,
    spec: EmbeddingSpec,
    *,
    executor: Executor | None = None,
    say: Callable[[str], None] | None = None,
    account: Account | None = None,
) -> None:
    """Fill the array of `spec`, n x d, computing only the shards that are missing.

    Args:
        encoder: `load_encoder(spec.model)`.
        examples: The pool, in the order of `store.ids`.
        store: Where the rows go; its identity names the encoder (`embedding_identity`).
        spec: What of each example is embedded.
        executor: Runs the shards; this process by default.
        say: Called with one line if texts were longer than the encoder reads.
        account: Called after every shard with its seconds, tokens and flops.
    """
    seen = _Cut(encoder, say)

    def compute(shard: range) -> tuple[Tensor, int]:
        found = encoder.encode([text_of(examples[row], spec.text) for row in shard])
        return seen.count(found, len(shard)), found.tokens

    fill(store.array(spec), compute, label="embeddings", executor=executor, account=account)
    seen.tell()


def extract_similarities(
    encoder: Encoder,
    examples: Sequence[Example],
    others: Sequence[Example],
    store: FeatureStore,
    spec: SimilaritySpec,
    *,
    executor: Executor | None = None,
    say: Callable[[str], None] | None = None,
    account: Account | None = None,
) -> None:
    """Fill the array of `spec`, the cosine of every example with each of `others`, [n, len(others)].

    Args:
        encoder: `load_encoder(spec.encoder.model)`.
        examples: The pool, in the order of `store.ids`.
        others: The targets, or the existing examples.
        store: Where the rows go; its identity names the encoder and the other examples.
        spec: Whose cosines.
        executor, say, account: As for `extract_embeddings`.
    """
    if len(store.array(spec).missing()) == 0:
        return
    seen = _Cut(encoder, say)
    found = encoder.encode([text_of(other, spec.encoder.text) for other in others])
    beside = seen.count(found, len(others))

    def compute(shard: range) -> tuple[Tensor, int]:
        here = encoder.encode([text_of(examples[row], spec.encoder.text) for row in shard])
        return seen.count(here, len(shard)) @ beside.T, here.tokens

    fill(store.array(spec), compute, label="similarities", executor=executor, account=account)
    seen.tell()


class _Cut:
    """Counts texts that are longer than the encoder reads, to say so once."""

    def __init__(self, encoder: Encoder, say: Callable[[str], None] | None) -> None:
        self.encoder, self.say, self.cut, self.all = encoder, say, 0, 0

    def count(self, found: Encoded, texts: int) -> Tensor:
        self.cut, self.all = self.cut + found.cut, self.all + texts
        return found.rows

    def tell(self) -> None:
        if self.cut > 0 and self.say is not None:
            self.say(
                f"embeddings: {self.cut} of {self.all} texts reach the encoder's {self.encoder.max_tokens} tokens; "
                "what comes after is not looked at"
            )
