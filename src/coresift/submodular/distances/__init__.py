"""How far apart are the rows of a pool, in whole numbers of one step, so that sums of them are exact?

Start at `stored.py`: a `Metric`, its n x n matrix (`pairwise`) and the blend of two. `tiled.py` is the same without a
matrix, `mixture.py` any number of spaces. `rows.py`, `products.py` and `blocks.py` are how a block is computed.
"""
