"""coresift: choose a small weighted subset of an instruction pool, train on it, show what it cost and what it kept."""

__version__ = "0.1.0"
