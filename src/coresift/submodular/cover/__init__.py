"""Which k rows cover a pool best at the least sum of distances, and how far from the best can they be?

Start at `greedy.py`: `first_pick.py`, then `lazy.py` with its `queue.py`, on any metric. Fast ways: `on_matrices.py`,
`near_pairs.py`, `without_matrix.py` with its `passes.py`. Other covers: `stochastic.py`, `partition.py`. `plan.py` says
how distances are held; `certificate.py` and `quality.py` say what picks are good for.
"""
