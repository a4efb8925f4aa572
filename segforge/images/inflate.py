"""Inflates gzip and zlib streams with their check sums compared, and never more than a file of their length can hold."""

import zlib
from pathlib import Path
from types import ModuleType

from segforge.errors import SegForgeError

LARGEST_RATIO = 1032
"""Bytes that one byte of a deflate stream can become, at most."""

GZIP = b"\x1f\x8b"
"""How a gzip file begins."""

_CHUNK = 1 << 26


def fast_zlib() -> ModuleType:
    """The fast inflater where it is installed, else Python's own; both check the CRC."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    return isal_zlib


def first_bytes(raw: bytes, count: int, path: Path) -> bytes:
    """The first `count` bytes of a gzip file's content.

    Raises:
        SegForgeError: If it is no gzip file.
    """
    try:
        return bytes(fast_zlib().decompressobj(31).decompress(raw, count))
    except Exception as error:
        raise SegForgeError(f"{path} is not a gzip file: {error}. Copy or export it again.") from error


def inflate(raw: bytes, size: int, path: Path) -> bytearray:
    """The first `size` bytes of a stream, after its whole content was inflated and its check sums compared.

    Args:
        raw: gzip (one or several members) or zlib.
        size: Bytes that the file's header claims.
        path: The file, for the message.

    Raises:
        SegForgeError: If the stream is damaged, cut, or shorter than claimed.
    """
    if size > len(raw) * LARGEST_RATIO:
        raise SegForgeError(
            f"{path} is damaged: its header claims {size} bytes, more than a file of {len(raw)} bytes can hold. Copy or export "
            "it again."
        )
    content, length, rest = bytearray(size), 0, raw
    try:
        while rest.strip(b"\0"):
            stream = fast_zlib().decompressobj(31 if rest[:2] == GZIP else 15)
            while not stream.eof:
                piece = stream.decompress(rest, _CHUNK)
                if not piece and not stream.unconsumed_tail and not stream.eof:
                    raise EOFError("it ends too early")
                used = piece[: max(0, size - length)]
                content[length : length + len(used)] = used
                length += len(piece)
                rest = stream.unconsumed_tail
            rest = stream.unused_data
    except Exception as error:
        raise SegForgeError(f"{path} is truncated or damaged: {error}. Copy or export it again.") from error
    check_length(length, size, path)
    return content


def check_length(found: int, claimed: int, path: Path) -> None:
    """Compare the bytes that are there with those that a header claims.

    Raises:
        SegForgeError: If there are fewer.
    """
    if found < claimed:
        raise SegForgeError(f"{path} is truncated: its header claims {claimed} bytes, it has {found}. Copy or export it again.")
