"""The learning rate over rounds, whose sizes and number are known only as they come.

linear   rises over the first steps, then falls with the share of the budget that is spent, to zero when all of it is
steps    0.995 to the power of (step // 8), as the published LEAD settings have it; no rise
"""

from typing import Any, Literal

Schedule = Literal["linear", "steps"]

DECAY, DECAY_STEPS = 0.995, 8


class Rates:
    """Optimizer step -> factor of the peak rate.

    Args:
        schedule: Which form.
        rising: Steps over which the rate rises; for `linear`.
    """

    def __init__(self, schedule: Schedule = "linear", *, rising: int = 0) -> None:
        self._schedule, self._rising = schedule, rising
        self._first, self._steps = 0, 1
        self._from = self._to = 0.0

    def begin(self, *, first: int, steps: int, spent_before: float, spent_after: float) -> None:
        """A round begins.

        Args:
            first: Optimizer steps taken before it.
            steps: Its optimizer steps.
            spent_before: Share of the budget that is spent before it, 0 to 1.
            spent_after: The same after it.
        """
        self._first, self._steps = first, max(1, steps)
        self._from, self._to = spent_before, spent_after

    def __call__(self, step: int) -> float:
        """The factor of one step, counted from 0 over all rounds."""
        if self._schedule == "steps":
            return float(DECAY ** (step // DECAY_STEPS))
        share = min(1.0, max(0.0, (step - self._first) / self._steps))
        spent = self._from + share * (self._to - self._from)
        rise = min(1.0, (step + 1) / (self._rising + 1))
        return rise * max(0.0, 1.0 - spent)

    @property
    def facts(self) -> dict[str, Any]:
        """What it depends on, for the record."""
        return {"schedule": self._schedule, "rising": self._rising}
