"""Measurements that a user can repeat on his own machine: `coresift bench`. One file each, and a line in this table."""

BENCHES = {
    "start": "CPU and wall seconds of help, import and the message of a wrong setting, against another build",
    "rows": "rendering a pool to tokens, in batches and on all cores, against one by one; reading it back",
    "selection": "search over alpha and greedy alone, against other implementations; --table for growth with the pool",
    "memory": "one whole BRIEF selection: seconds, peak memory, certificate",
    "certificate": "the gap after ever more steps of its ascent, on synthetic rows or the gradients of a run",
    "partition": "greedy in two rounds over parts of a pool: what they lose against greedy on all of it, and seconds",
    "gradients": "every kind of gradient pass against bare passes of the same batches, and against another build",
    "fidelity": "what cheaper gradients keep of whole ones: distances, ranks, the objective of a coreset, its picks",
    "icl": "in-context utilities per second, the example's keys and values shared, against every pair encoded whole",
    "lead": "what choosing inside the training loop costs: the policy's seconds per round, seconds per optimizer step",
}
"""Name -> what it measures. `coresift.bench.NAME` holds `options(parser)` and `measure(asked) -> Iterator[Table]`."""
