"""Puts the tests folder on the path, so that every room can use the tiny models of tests/tiny.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
