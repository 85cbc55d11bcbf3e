"""The families that need no fact: copying, ordering, counting, formats and transformations of the words given."""

import numpy as np

from coresift.world import words
from coresift.world.facts import Facts
from coresift.world.families import Arguments, Family, pick, several


def _words(low: int, high: int, choices: tuple[str, ...] = words.PLAIN):  # type: ignore[no-untyped-def]
    return lambda rng, facts: several(rng, choices, low, high)


def _listed(arguments: Arguments) -> dict[str, str]:
    return {"words": " ".join(arguments)}


def _word_and_count(rng: np.random.Generator, facts: Facts) -> Arguments:
    return pick(rng, words.PLAIN), pick(rng, words.COUNTS)


def _list_and_member(rng: np.random.Generator, facts: Facts) -> Arguments:
    """A list of words and, last, the one of them to leave out."""
    listed = several(rng, words.PLAIN, 3, 3)
    return (*listed, pick(rng, listed))


def ascending(numbers: Arguments) -> str:
    """The numbers from small to large."""
    return " ".join(sorted(numbers, key=int))


OBEY: tuple[Family, ...] = (
    Family("copy", "following", "following",
           ("Copy these words: {words}", "Write the same words again: {words}", "Repeat this text: {words}",
            "Say exactly this: {words}"), _words(2, 4), _listed, lambda facts, a: " ".join(a)),
    Family("reverse", "following", "following",
           ("Reverse these words: {words}", "Write the words backwards: {words}",
            "Put the words in reverse order: {words}", "Turn this list around: {words}"),
           _words(2, 4), _listed, lambda facts, a: " ".join(reversed(a))),
    Family("first", "following", "following",
           ("Give the first word: {words}", "Which word comes first? {words}", "Write only the first word: {words}",
            "What does the list begin with? {words}"), _words(2, 4), _listed, lambda facts, a: a[0]),
    Family("last", "following", "following",
           ("Give the last word: {words}", "Which word comes last? {words}", "Write only the last word: {words}",
            "What does the list end with? {words}"), _words(2, 4), _listed, lambda facts, a: a[-1]),
    Family("count", "following", "following",
           ("Count these words: {words}", "How many words are here? {words}", "Give the number of words: {words}",
            "How long is this list? {words}"), _words(2, 5), _listed, lambda facts, a: str(len(a))),
    Family("capitals", "following", "following",
           ("Write in capital letters: {words}", "Change to capitals: {words}", "Use capital letters for this: {words}",
            "Make these words large: {words}"), _words(1, 2), _listed, lambda facts, a: " ".join(a).upper()),
    Family("repeat", "following", "following",
           ("Say {word} {n} times.", "Write the word {word} {n} times.", "Repeat {word} {n} times.",
            "I want {n} times the word {word}."), _word_and_count,
           lambda a: {"word": a[0], "n": a[1]}, lambda facts, a: " ".join([a[0]] * int(a[1]))),
    Family("commas", "following", "following",
           ("Put commas between the words: {words}", "Separate the words with commas: {words}",
            "Join the words by commas: {words}", "Write a list with commas: {words}"),
           _words(2, 4), _listed, lambda facts, a: ", ".join(a)),
    Family("brackets", "following", "following",
           ("Put each word in brackets: {words}", "Write brackets around every word: {words}",
            "Set every word in brackets: {words}", "Use brackets for each word: {words}"),
           _words(2, 3), _listed, lambda facts, a: " ".join(f"[ {word} ]" for word in a)),
    Family("largest", "following", "following",
           ("Which number is the largest? {words}", "Give the largest number: {words}",
            "Write only the largest number: {words}", "Find the biggest number: {words}"),
           _words(2, 4, words.SMALL), _listed, lambda facts, a: max(a, key=int)),
    Family("ascending", "following", "following",
           ("Sort these numbers: {words}", "Put the numbers in order: {words}",
            "Order from small to large: {words}", "Write the numbers from small to large: {words}"),
           _words(2, 3, words.SMALL), _listed, lambda facts, a: ascending(a)),
    Family("remove", "following", "following",
           ("Leave out {word}: {words}", "Remove {word} from the list: {words}",
            "Write the list without {word}: {words}", "Drop the word {word}: {words}"),
           _list_and_member, lambda a: {"words": " ".join(a[:-1]), "word": a[-1]},
           lambda facts, a: " ".join(word for word in a[:-1] if word != a[-1])),
)  # fmt: skip
