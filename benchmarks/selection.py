"""`coresift bench selection`, from a clone: `benchmarks/selection.py --n 10000 --dim 8192 --peers`."""

import sys

from coresift.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command(["bench", "selection", *sys.argv[1:]]))
