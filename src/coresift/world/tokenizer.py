"""The world's tokenizer: byte-level BPE, so any text can be encoded, with a plain-text chat template."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from coresift.world import words
from coresift.world.base_text import STATEMENTS
from coresift.world.english import COMMON
from coresift.world.facts import facts
from coresift.world.obey import OBEY
from coresift.world.recall import RECALL

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VOCABULARY = 2048
MAX_POSITIONS = 1024
BOS, EOS, PAD = "<s>", "</s>", "<pad>"

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}System: {{ message['content'] }}\n"
    "{% elif message['role'] == 'user' %}User: {{ message['content'] }}\n"
    "{% else %}Assistant: {{ message['content'] }}{{ eos_token }}\n{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
"""`User: ...` and `Assistant: ...` on a line each; an answer ends with the end-of-sequence token."""


def _vocabulary_text() -> Iterator[str]:
    """Every word of the world often enough to become one token, then common English by rank."""
    world = facts()
    names = (*world.people, *world.towns, *world.things)
    values = (*words.SHOUTED, *words.PETS, *words.DRINKS, *words.RIVERS, *words.REGIONS, *words.CROPS, *words.MATERIALS)
    numbers = (*words.AGES, *words.SMALL)
    for word in (*names, *values, *numbers, *(word.upper() for word in words.SHOUTED)):
        yield f" {word}" * 400
    for rank, word in enumerate(COMMON):
        yield f" {word}" * (300 - rank // 4)
    for family in (*RECALL, *OBEY):
        for wording in family.wordings:
            yield f" {wording}" * 200
    for text in (text for texts in STATEMENTS.values() for text in texts):
        yield f" {text}" * 200
    yield "Result: Then: Now: Note: \n" * 1000
    yield "User: Assistant: System: \n" * 1000


def build_tokenizer(documents: Iterable[str]) -> "PreTrainedTokenizerFast":
    """Train the tokenizer on the world's documents and common English; the same input gives the same tokenizer."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[AddedToken(token, special=True) for token in (PAD, BOS, EOS)],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((*_vocabulary_text(), *documents), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        model_max_length=MAX_POSITIONS,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        padding_side="right",
    )
