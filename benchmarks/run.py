"""`make bench`: every benchmark with its defaults, one after the other, each in a process of its own."""

import subprocess
import sys

from coresift.bench import BENCHES


def main() -> None:
    """Run what `coresift bench` lists."""
    for name in BENCHES:
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, "-m", "coresift", "bench", name], check=True)


if __name__ == "__main__":
    main()
