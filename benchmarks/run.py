"""`make bench`: every benchmark, one after the other, each in a process of its own."""

import subprocess
import sys
from pathlib import Path


def main() -> None:
    """Run the other scripts of this folder with their default arguments."""
    here = Path(__file__)
    for script in sorted(here.parent.glob("*.py")):
        if script != here:
            print(f"== {script.stem}", flush=True)
            subprocess.run([sys.executable, str(script)], check=True)


if __name__ == "__main__":
    main()
