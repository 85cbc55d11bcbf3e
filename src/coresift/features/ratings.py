"""What ratings hold: how likely a model finds each mark for every example, under several ways of asking."""

from pydantic import Field, model_validator

from coresift.errors import SettingsError
from coresift.features.specs import FeatureSpec
from coresift.settings import PathText

MARKS = ("1", "2", "3", "4", "5")
"""The marks a model may give, from worst to best."""

PROMPTS = (
    "Below are an instruction and an answer to it. How good is the answer? Give it a mark from 1 (useless) to 5 "
    "(excellent).\n\n[Instruction]\n{instruction}\n\n[Answer]\n{response}\n\nReply with the mark alone.",
    "You grade training data for an assistant. On a scale from 1 to 5, where 5 is the best, how helpful, correct and "
    "complete is this response?\n\nRequest:\n{instruction}\n\nResponse:\n{response}\n\nSay only the number.",
    "Request:\n{instruction}\n\nReply:\n{response}\n\nWould a careful expert be content with the reply? 1 means not at "
    "all, 5 means entirely. Answer with one digit from 1 to 5 and nothing else.",
    "Judge how well the second text does what the first one asks for.\n\nFirst text:\n{instruction}\n\nSecond text:\n"
    "{response}\n\nScore it with an integer between 1 (poor) and 5 (outstanding). Write the integer only.",
    "Someone wants to teach a language model with the pair below. Rate the quality of the pair: 1 is harmful or "
    "worthless, 3 is usable, 5 is exemplary.\n\n### Instruction\n{instruction}\n\n### Output\n{response}\n\n"
    "Your rating as a single digit:",
)
"""Five ways to ask for a mark; how much the marks differ among them is part of SelectIT's score."""


class RatingSpec(FeatureSpec):
    """Probabilities of the five marks as the next token, n x (5 * prompts): those of the first prompt, the second, ...

    They are probabilities among all tokens, so the five of one prompt sum to at most 1.

    Attributes:
        model: Name or path of the model that rates; "" for the base model of the run.
        prompts: The questions, with the fields {instruction} and {response}.

    Raises:
        SettingsError: If a prompt lacks one of its fields.
    """

    model: PathText = ""
    prompts: tuple[str, ...] = Field(PROMPTS, min_length=1)

    @model_validator(mode="after")
    def _prompts_have_their_fields(self) -> "RatingSpec":
        for number, prompt in enumerate(self.prompts, start=1):
            lacking = [name for name in ("{instruction}", "{response}") if prompt.count(name) != 1]
            if lacking:
                raise SettingsError(
                    f"prompt {number} holds {lacking[0]} {prompt.count(lacking[0])} times: {prompt[:60]!r}. "
                    "A rating prompt shows {instruction} and {response} once each."
                )
        return self

    @property
    def key(self) -> str:
        """For example `rating-5-1f2e3d4c`."""
        return f"rating-{len(self.prompts)}-{self._hash}"


def ask(prompt: str, *, instruction: str, response: str) -> str:
    """A rating prompt with its fields filled in; braces in the texts stay as they are.

    >>> ask("{instruction}? {response}!", instruction="a{response}b", response="c")
    'a{response}b? c!'
    """
    before, _, after = prompt.partition("{instruction}")
    if "{response}" in before:
        return before.replace("{response}", response) + instruction + after
    return before + instruction + after.replace("{response}", response)
