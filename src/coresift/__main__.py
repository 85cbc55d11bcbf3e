"""`python -m coresift`: the command line."""

from coresift.cli.main import main

main()
