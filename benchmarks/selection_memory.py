"""`coresift bench memory`, from a clone: `benchmarks/selection_memory.py --n 20000 --dim 2048`."""

import sys

from coresift.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command(["bench", "memory", *sys.argv[1:]]))
