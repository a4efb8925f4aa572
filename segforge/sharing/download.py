"""Files from the net: with progress, going on where a transfer broke off, and no larger than allowed."""

import hashlib
import logging
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPResponse
from importlib.metadata import version
from pathlib import Path

from segforge.compute.files import append_chunks, file_hash
from segforge.compute.progress import progress_bar
from segforge.compute.wording import size
from segforge.errors import SegForgeError

log = logging.getLogger(__name__)

_CHUNK = 1 << 20
_TIMEOUT = 30  # seconds without a byte
_HERE = ("localhost", "127.0.0.1", "::1")
_REST_IS_HERE = 416


def is_address(source: str) -> bool:
    """Whether it is an address in the net rather than a path."""
    return re.match(r"[a-z][a-z0-9+.-]*://", source, re.IGNORECASE) is not None


def download(url: str, folder: Path, *, most_bytes: int, sha256: str | None = None) -> Path:
    """Download a file, or the rest of it if a part is there.

    Args:
        url: Its address, https; http only from this machine or with a hash.
        folder: Where the file lies until it is removed; an unfinished one stays for the next call.
        most_bytes: What it may take.
        sha256: The hash that it must have.

    Raises:
        SegForgeError: If it cannot be had, is too large, or has another hash.
    """
    _check_address(url, sha256)
    path = folder / f".download-{hashlib.sha256(url.encode()).hexdigest()[:16]}"
    try:
        _fetch(url, path, most_bytes, sha256)
    except urllib.error.HTTPError as error:
        if error.code != _REST_IS_HERE or not path.is_file():
            raise SegForgeError(f"{url} cannot be downloaded: {error.code} {error.reason}. Check the address.") from error
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError, ValueError) as error:
        raise _broken(url, error) from error
    if sha256 is not None and (found := file_hash(path)) != sha256.lower():
        path.unlink()
        raise SegForgeError(
            f"{url} has the SHA-256 {found}, not {sha256.lower()}. Nothing was imported. Check the address and --sha256."
        )
    return path


def _fetch(url: str, path: Path, most_bytes: int, sha256: str | None) -> None:
    begun = path.stat().st_size if path.is_file() else 0
    request = urllib.request.Request(url, headers={"User-Agent": f"SegForge/{version('segforge')}"})
    if begun:
        request.add_header("Range", f"bytes={begun}-")
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
        _check_address(response.url, sha256)
        if begun and response.status != 206:
            path.unlink()  # a server that only sends all of it
            begun = 0
        total = begun + int(response.headers.get("Content-Length") or 0)
        if total > most_bytes:
            raise SegForgeError(
                f"{url} has {size(total)}, more than the {size(most_bytes)} allowed. Allow more with --max-size."
            )
        log.info("%s %s, %s.", "Going on with" if begun else "Downloading", url, size(total - begun))
        with progress_bar(total - begun, "download") as advance:
            append_chunks(path, _chunks(response, most_bytes - begun, url, advance))
    if total > begun and path.stat().st_size < total:
        raise ConnectionError("it broke off")


def _chunks(response: HTTPResponse, most_bytes: int, url: str, advance: Callable[..., object]) -> Iterator[bytes]:
    left = most_bytes
    while chunk := _read(response, url):
        left -= len(chunk)
        if left < 0:
            raise SegForgeError(f"{url} is larger than allowed. Allow more with --max-size.")
        advance(len(chunk))
        yield chunk


def _read(response: HTTPResponse, url: str) -> bytes:
    try:
        return response.read1(_CHUNK)
    except (OSError, HTTPException) as error:  # the net's, not the disk's
        raise _broken(url, error) from error


def _broken(url: str, error: Exception) -> SegForgeError:
    reason = getattr(error, "reason", error)
    return SegForgeError(f"{url} cannot be downloaded: {reason}. The same command goes on where it stopped.")


def _check_address(url: str, sha256: str | None) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and (parts.hostname in _HERE or sha256 is not None)):
        return
    raise SegForgeError(
        f"{url} is refused: anybody on the way could change it. Give an https address, or for http the file's --sha256."
    )
