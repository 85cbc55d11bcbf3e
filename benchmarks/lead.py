"""`coresift bench lead`, from a clone: `benchmarks/lead.py --parts policy`."""

import sys

from coresift.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command(["bench", "lead", *sys.argv[1:]]))
