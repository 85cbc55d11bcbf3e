"""What the rows of a pool say of themselves: a number per example, labels, or a score that a model gives instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from coresift.errors import SelectionError
from coresift.features.losses import column
from coresift.features.ratings import MARKS, RatingSpec
from coresift.features.specs import FeatureSpec
from coresift.features.utilities import OFFLINE_ENCODER
from coresift.settings import Settings
from coresift.submodular.distances.rows import check_rows

if TYPE_CHECKING:
    from torch import Tensor


class ColumnSpec(FeatureSpec):
    """A number that stands in a column of every row, n x 1; `a.b` is field b of column a."""

    column: str = Field(min_length=1)

    @property
    def key(self) -> str:
        """For example `column-1f2e3d4c`."""
        return f"column-{self._hash}"


class LabelSpec(FeatureSpec):
    """Labels of every example, n x L, one column per label in the order of their names.

    A row has 1 / (its number of labels) for each of its labels, spread over labels that mean nearly the same: W has the
    cosine of two labels' embeddings where it is at least `threshold`, its columns are made to sum to 1, and rows are
    multiplied by it. A row without labels is 0.

    Attributes:
        column: Where a row has its labels, as a list or as one text; `source` is the example's source.
        encoder: Who embeds the labels; "" keeps all labels apart.
        threshold: Least cosine of labels that share.
    """

    column: str = Field("labels", min_length=1)
    encoder: str = OFFLINE_ENCODER
    threshold: float = Field(0.9, ge=-1.0, le=1.0)

    @property
    def key(self) -> str:
        """For example `labels-1f2e3d4c`."""
        return f"labels-{self._hash}"


class ScoreOf(Settings):
    """Where a score of every example comes from.

    Attributes:
        column: The column that holds it; "" lets a model rate.
        model: Name or path of the model that rates; "" is the base model of the run.
    """

    column: str = ""
    model: str = ""

    def spec(self, question: str) -> ColumnSpec | RatingSpec:
        """What is looked at; the question is asked where a model rates."""
        return ColumnSpec(column=self.column) if self.column else RatingSpec(model=self.model, prompts=(question,))

    def values(self, rows: Tensor, *, name: str) -> np.ndarray:
        """[n] the numbers of the column, or the mark a model expects: sum of mark * probability, made to sum to 1.

        Args:
            rows: The array of `spec`.
            name: What the score is called in messages.

        Raises:
            SelectionError: If the array is not what the spec says.
        """
        if self.column:
            return column(rows, name=name)
        check_rows(rows, name=name)
        if rows.shape[1] != len(MARKS):
            raise SelectionError(f"{name}: ratings of shape {tuple(rows.shape)}. Pass n x {len(MARKS)} probabilities.")
        marks = rows.detach().cpu().double().numpy()
        mass = marks.sum(axis=1)
        expected: np.ndarray = marks @ np.arange(1.0, len(MARKS) + 1.0) / np.where(mass > 0, mass, 1.0)
        return expected
