"""Policies, one file each: what to train on next, from losses that training computes anyway."""

from coresift.online.lead import Lead
from coresift.online.loss import LossPerRound
from coresift.online.random import RandomPerRound
from coresift.online.static import Static
from coresift.settings import Settings

POLICIES: dict[str, type[Settings]] = {policy.name: policy for policy in (Lead, Static, RandomPerRound, LossPerRound)}
"""Policies by the name used in recipes."""

__all__ = ["POLICIES", "Lead", "LossPerRound", "RandomPerRound", "Static"]
