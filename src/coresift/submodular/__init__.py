"""Pure maths of choosing a subset on tensors: how far apart rows are, what covers them, what picks are worth.

Three wings: `distances` (start at `stored.py`), `cover` (at `greedy.py`) and `worth` (at `information.py`). Beside them
matching (`matching.py`) and clustering (`clustering.py`), and below all the compiled loops and their threads.
"""
