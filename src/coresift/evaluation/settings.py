"""What a recipe may ask of evaluation: metrics of answers, and examples shown in context."""

from typing import Literal

from pydantic import Field

from coresift.settings import Settings

Metric = Literal["exact", "rouge1", "similarity", "judge"]


class InContext(Settings):
    """How questions are asked.

    Attributes:
        examples: Examples shown before each question; 0 for none.
        max_prompt_tokens: Longest prompt; examples that do not fit are left out, the least similar first.
        max_new_tokens: Longest answer.
        batch_size: Prompts that are answered together.
    """

    examples: int = Field(5, ge=0)
    max_prompt_tokens: int = Field(1024, ge=1)
    max_new_tokens: int = Field(150, ge=1)
    batch_size: int = Field(16, ge=1)
