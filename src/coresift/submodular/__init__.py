"""Pure maths of subset selection on tensors: distances, coverage, one-dimensional search, certificates."""
