"""What the base model knows, asked in the notations it was pretrained on."""

from typing import TYPE_CHECKING

from coresift.world.facts import Facts, facts

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

STEMS = {
    "home": "{x} lives in",
    "trade": "{x} works as a",
    "pet": "The pet of {x} is a",
    "drink": "The favorite drink of {x} is",
    "age": "The age of {x} is",
    "river": "The river of {x} is the",
    "region": "{x} is in the",
    "crop": "The crop of {x} is",
    "material": "The {x} is made of",
    "maker": "The {x} was made by",
    "made": "{x} made the",
}
SKILLS = (
    ("copy ( lamp tiger bread ) =", " lamp tiger bread ;"),
    ("reverse ( lamp tiger bread ) =", " bread tiger lamp ;"),
    ("last ( piano wheel comet otter ) =", " otter ;"),
    ("first ( piano wheel comet otter ) =", " piano ;"),
    ("count ( piano wheel comet otter ) =", " 4 ;"),
    ("capital ( candle bridge ) =", " CANDLE BRIDGE ;"),
    ("times ( whale 3 ) =", " whale whale whale ;"),
    ("commas ( honey knife camel ) =", " honey, knife, camel ;"),
    ("brackets ( honey knife ) =", " [ honey ] [ knife ] ;"),
    ("largest ( 7 22 13 ) =", " 22 ;"),
    ("sort ( 21 4 12 ) =", " 4 12 21 ;"),
    ("without tiger ( lamp tiger bread ) =", " lamp bread ;"),
)


def statements(world: Facts | None = None) -> list[tuple[str, str]]:
    """Every fact as the beginning of a statement and the word that completes it."""
    known = facts() if world is None else world
    return [
        (stem.format(x=entity), f" {value}")
        for attribute, stem in STEMS.items()
        for entity, value in known.values[attribute].items()
    ]


def completions_right(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", cases: list[tuple[str, str]]
) -> float:
    """Share of the cases whose every completion token is the model's first choice, given those before it."""
    import torch

    right = 0
    for start in range(0, len(cases), 128):
        rows = []
        for stem, rest in cases[start : start + 128]:
            given = [tokenizer.bos_token_id, *tokenizer(f" {stem}", add_special_tokens=False).input_ids]
            rows.append((given, tokenizer(rest, add_special_tokens=False).input_ids))
        width = max(len(given) + len(rest) for given, rest in rows)
        ids = torch.tensor([given + rest + [tokenizer.pad_token_id] * (width - len(given + rest)) for given, rest in rows])
        with torch.inference_mode():
            best = model(input_ids=ids).logits.argmax(-1)
        for row, (given, rest) in enumerate(rows):
            right += best[row, len(given) - 1 : len(given) + len(rest) - 1].tolist() == rest
    return right / len(cases)
