"""The inner loops of selection on a CPU, compiled when first called (numba) and kept for the next process.

Everything here is sums of whole numbers: distances come as whole numbers of a step (uint16 or float32, see
`distances.stored`), gains are int64. So no order of summation, no vector width and no number of threads changes a
result.

A blend is computed while it is read, round(a * share + b * rest) in float32, two products and one sum, each rounded by
itself, as everywhere. One space alone is blended with itself at share 1.
"""
