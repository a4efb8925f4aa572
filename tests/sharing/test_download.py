"""Packages from an address: with hashes, limits, and going on where it broke off."""

import hashlib
import re
import threading
from collections.abc import Iterator
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sharing_samples import small_model

from segforge.api.sharing import ImportOptions, export_model, import_models
from segforge.errors import SegForgeError
from segforge.sharing.download import download


class Server(ThreadingHTTPServer):
    """Gives one file; may break off after some bytes, know no ranges, or not tell the length."""

    content = b""
    breaks_after: int | None = None
    knows_ranges = True
    tells_length = True
    redirect: str | None = None
    asked: list[str | None]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/folder/m.segforge.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append(wanted)
        if server.redirect:
            self.send_response(302)
            self.send_header("Location", server.redirect)
            self.end_headers()
            return
        begin = int(re.findall(r"\d+", wanted)[0]) if wanted and server.knows_ranges else 0
        if begin and begin >= len(server.content):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        part = server.content[begin:]
        if server.tells_length:
            self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part if server.breaks_after is None else part[: server.breaks_after])

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def test_a_package_is_imported_from_an_address(tmp_path: Path, server: Server) -> None:
    path = export_model(small_model(tmp_path / "ours").path, tmp_path / "m.segforge.zip")
    server.content = path.read_bytes()
    options = ImportOptions(sha256=hashlib.sha256(server.content).hexdigest())
    (imported,) = import_models(server.url, output=tmp_path / "back", options=options)
    assert (imported / "plans.json").is_file()
    assert [file.name for file in (tmp_path / "back").iterdir()] == [imported.name]


def test_a_broken_transfer_goes_on_where_it_stopped(tmp_path: Path, server: Server) -> None:
    server.content, server.breaks_after = bytes(range(256)) * 40, 3000
    for _ in range(2):
        with pytest.raises(SegForgeError, match=r"cannot be downloaded.* goes on where it stopped"):
            download(server.url, tmp_path, most_bytes=10**6)
    server.breaks_after = None
    path = download(server.url, tmp_path, most_bytes=10**6)
    assert path.read_bytes() == server.content
    assert server.asked == [None, "bytes=3000-", "bytes=6000-"]
    assert download(server.url, tmp_path, most_bytes=10**6).read_bytes() == server.content  # all of it is there


def test_a_connection_that_is_reset_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    def reset(response: HTTPResponse, count: int) -> bytes:
        raise ConnectionResetError("reset by peer")

    server.content = bytes(1000)
    monkeypatch.setattr(HTTPResponse, "read1", reset)
    with pytest.raises(SegForgeError, match="cannot be downloaded: reset by peer"):
        download(server.url, tmp_path, most_bytes=10**6)


def test_a_server_without_ranges_begins_anew(tmp_path: Path, server: Server) -> None:
    server.content, server.breaks_after, server.knows_ranges = bytes(range(256)) * 40, 3000, False
    with pytest.raises(SegForgeError, match="broke off"):
        download(server.url, tmp_path, most_bytes=10**6)
    server.breaks_after = None
    assert download(server.url, tmp_path, most_bytes=10**6).read_bytes() == server.content


@pytest.mark.parametrize("tells_length", [True, False])
def test_too_large_a_file_is_refused(tmp_path: Path, server: Server, tells_length: bool) -> None:
    server.content, server.tells_length = bytes(5_000_000), tells_length
    with pytest.raises(SegForgeError, match="allowed"):
        import_models(server.url, output=tmp_path / "back", options=ImportOptions(most_bytes=2_000_000))
    written = [file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()]
    assert sum(written) <= 2_000_000


def test_another_hash_is_refused_and_the_file_is_gone(tmp_path: Path, server: Server) -> None:
    server.content = b"something else"
    with pytest.raises(SegForgeError, match="has the SHA-256"):
        import_models(server.url, output=tmp_path / "back", options=ImportOptions(sha256="0" * 64))
    assert not (tmp_path / "back").exists()


def test_what_is_no_package_is_refused_and_the_file_is_gone(tmp_path: Path, server: Server) -> None:
    server.content = b"something else"
    with pytest.raises(SegForgeError, match="no zip file"):
        import_models(server.url, output=tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize(
    "address", ["http://example.org/m.zip", "file:///etc/passwd", "ftp://example.org/m.zip", "HTTP://a.b/c"]
)
def test_other_addresses_are_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(SegForgeError, match="is refused"):
        import_models(address, output=tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://localhost/x"])
def test_a_redirection_elsewhere_is_refused(tmp_path: Path, server: Server, target: str) -> None:
    server.redirect = target
    with pytest.raises(SegForgeError, match=r"cannot be downloaded|refused"):
        import_models(server.url, output=tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SegForgeError, match="cannot be downloaded"):
        import_models("http://127.0.0.1:9/m.zip", output=tmp_path / "back")
