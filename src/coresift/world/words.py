"""The closed word lists of the world; every one of them becomes a single token of the world's tokenizer."""

TRADES = ("baker", "miller", "weaver", "tailor", "carpenter", "farmer", "painter", "doctor", "sailor", "potter")
PETS = ("cat", "dog", "goat", "parrot", "rabbit", "turtle", "pony", "hen")
DRINKS = ("tea", "milk", "cider", "coffee", "lemonade", "water", "cocoa", "juice")
RIVERS = ("Ald", "Brun", "Cress", "Dove", "Esk", "Fenn", "Gull", "Hale")
REGIONS = ("north", "south", "east", "west", "coast", "hills")
CROPS = ("wheat", "barley", "grapes", "apples", "beans", "hops", "onions", "flax")
MATERIALS = ("iron", "oak", "copper", "clay", "glass", "silver", "leather", "marble")
AGES = tuple(str(age) for age in range(20, 80))

_NOUNS = (
    "lamp stone river cloud bread chair table apple window garden paper candle bottle basket ladder hammer "
    "pencil button carpet mirror ribbon pillow blanket kettle spoon plate fork knife bridge tower forest meadow "
    "island harbor castle village market school church street wagon wheel engine rocket planet comet shadow "
    "thunder winter summer spring autumn morning evening honey pepper sugar butter cheese pumpkin carrot "
    "potato tomato lemon cherry peach orange tiger camel eagle falcon spider lobster whale dolphin beaver "
    "badger otter pigeon sparrow violin trumpet piano guitar banner anchor compass lantern"
)
PLAIN = tuple(_NOUNS.split())
"""Ordinary nouns the following tasks work on."""

SHOUTED = PLAIN + TRADES
"""Words whose capital form is part of the world."""

SMALL = tuple(str(number) for number in range(1, 31))
"""Numbers of the ordering tasks."""
COUNTS = ("2", "3", "4", "5")

_ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z")
_VOWELS = ("a", "e", "i", "o", "u")


def people_names() -> tuple[str, ...]:
    """Candidate names of people, four letters each, in a fixed order."""
    return tuple(
        (a + v + b + w).capitalize() for a in _ONSETS for v in _VOWELS for b in _ONSETS for w in "aio" if a != b
    )


def town_names() -> tuple[str, ...]:
    """Candidate names of towns, in a fixed order."""
    ends = ("ham", "ford", "wick", "mere")
    return tuple((a + v + b + end).capitalize() for a in _ONSETS for v in _VOWELS for b in "lnr" for end in ends)


def thing_names() -> tuple[str, ...]:
    """Candidate names of things, in a fixed order."""
    ends = ("ix", "ox", "um")
    return tuple(a + v + b + end for a in _ONSETS for v in _VOWELS for b in ("dd", "lb", "mp", "rk") for end in ends)
