"""`coresift bench gradients`, from a clone: `benchmarks/gradients.py --examples 128`."""

import sys

from coresift.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command(["bench", "gradients", *sys.argv[1:]]))
