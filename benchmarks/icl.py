"""`coresift bench icl`, from a clone: `benchmarks/icl.py --lengths 200/60/120`."""

import sys

from coresift.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command(["bench", "icl", *sys.argv[1:]]))
