"""What the base model knows, asked in the notations it was pretrained on."""

from typing import TYPE_CHECKING

from coresift import seeds
from coresift.world.facts import Facts, facts
from coresift.world.families import pick
from coresift.world.skills import JOINTS, SKILLS

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


def statements(world: Facts | None = None) -> list[tuple[str, str]]:
    """Every fact as the beginning of a statement and the word that completes it."""
    known = facts() if world is None else world
    return [
        (stem.format(x=entity), f" {value}")
        for attribute, stem in STEMS.items()
        for entity, value in known.values[attribute].items()
    ]


def exercises(count: int = 20, skill: str | None = None) -> list[tuple[str, str]]:
    """`count` drawn demonstrations of each skill (or of one), cut before the result."""
    rng, cases = seeds.generator(1, "exercises"), []
    for name in SKILLS if skill is None else (skill,):
        for _ in range(count):
            shown = SKILLS[name](rng)
            stem, ending = pick(rng, JOINTS).split(" {result}")
            text = stem.format(task=pick(rng, shown.calls), given=shown.given)
            cases.append((text, f" {shown.result}{ending}"))
    return cases


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
        ids = torch.tensor(
            [given + rest + [tokenizer.pad_token_id] * (width - len(given + rest)) for given, rest in rows]
        )
        with torch.inference_mode():
            best = model(input_ids=ids).logits.argmax(-1)
        for row, (given, rest) in enumerate(rows):
            right += best[row, len(given) - 1 : len(given) + len(rest) - 1].tolist() == rest
    return right / len(cases)
