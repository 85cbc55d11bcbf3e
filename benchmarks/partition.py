"""`coresift bench partition`, from a clone: `benchmarks/partition.py --parts 4,16`."""

import sys

from coresift.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command(["bench", "partition", *sys.argv[1:]]))
