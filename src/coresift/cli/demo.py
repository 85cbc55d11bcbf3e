"""`coresift demo`: the whole pipeline on the embedded world."""

from coresift.cli.options import Overrides


def demo(set: Overrides = None) -> None:
    """Choose 5 % of the embedded pool with BRIEF, train on it, and compare with random choices and the whole pool."""
    from coresift.cli.run import carry_out

    carry_out("demo", set)
