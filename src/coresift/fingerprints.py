"""Content hashes: artefacts are named by what they depend on."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LENGTH = 16
"""Hex digits kept: 64 bits, enough to tell the artefacts of a project apart."""


def of_bytes(data: bytes) -> str:
    """Fingerprint of raw bytes."""
    return hashlib.sha256(data).hexdigest()[:LENGTH]


def of_json(value: Any) -> str:
    """Fingerprint of a JSON-able value; key order does not matter."""
    return of_bytes(_json(value))


def of_json_list(items: Iterable[Any]) -> str:
    """As `of_json` of the list of `items`, which is never held."""
    digest, comma = hashlib.sha256(b"["), b""
    for item in items:
        digest.update(comma + _json(item))
        comma = b","
    digest.update(b"]")
    return digest.hexdigest()[:LENGTH]


def of_file(path: Path) -> str:
    """Fingerprint of one file's content, read in blocks."""
    return checksum(path)[:LENGTH]


def checksum(path: Path) -> str:
    """SHA-256 of one file's content, in full, read in blocks."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def of_folder(folder: Path, pattern: str = "*") -> str:
    """Fingerprint of the files of one folder (not below) that match `pattern`: names and contents."""
    files = sorted(path for path in folder.glob(pattern) if path.is_file())
    return of_json([[path.name, of_file(path)] for path in files])


_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode


def _json(value: Any) -> bytes:
    return _encode(value).encode()
