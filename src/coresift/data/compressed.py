"""Files packed with gzip or Zstandard."""

import gzip
import zlib

from coresift.errors import DataError

PACKED = (".gz", ".zst")


def unpacked(data: bytes, suffix: str, name: str) -> bytes:
    """The content of a packed file.

    Args:
        data: The file.
        suffix: One of `PACKED`.
        name: The file as errors call it.

    Raises:
        DataError: If the data is not what the suffix says, or ends too early.
    """
    try:
        return gzip.decompress(data) if suffix == ".gz" else _zstandard(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{name}: cannot be unpacked ({error}). Check that the file is whole, or pack it again."
        ) from None


def _zstandard(data: bytes) -> bytes:
    import pyarrow

    if data == b"":
        raise EOFError("the file is empty")
    with pyarrow.CompressedInputStream(pyarrow.BufferReader(data), "zstd") as stream:
        return bytes(stream.read())
