"""Where on a line is the best place: the lowest value, the first flat stretch, the cuts between clusters?

Start at `search.py`: golden section and ternary search, with a record of every evaluation. `plateau.py` is MINT's rule
for a curve that goes flat; `intervals.py` is exact k-means of numbers, with its compiled loop in `layers.py`. Plain
numbers in, plain numbers out.
"""
