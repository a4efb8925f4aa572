"""Zip files that would leave their folder, grow, or are ambiguous are refused before a byte is written."""

import stat
import struct
import unicodedata
import zipfile
from pathlib import Path

import pytest

from segforge.errors import SegForgeError
from segforge.sharing import archive
from segforge.sharing.archive import unpack


def make(path: Path, *names: str, content: bytes = b"content", mode: int | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            entry = zipfile.ZipInfo("placeholder")
            entry.filename, entry.compress_type = name, zipfile.ZIP_DEFLATED
            kind = stat.S_IFDIR if name.endswith("/") else stat.S_IFREG
            entry.external_attr = (kind | 0o644 if mode is None else mode) << 16
            file.writestr(entry, content)
    return path


def refused(path: Path, folder: Path, message: str, **options: int) -> None:
    before = sorted(folder.parent.rglob("*"))
    with pytest.raises(SegForgeError, match=message):
        unpack(path, folder, **options)
    assert sorted(folder.parent.rglob("*")) == before


def test_files_are_unpacked(tmp_path: Path) -> None:
    path = make(tmp_path / "a.zip", "plans.json", "fold_0/x.bin", "fold_0/folder/")
    assert unpack(path, tmp_path / "out", wanted=lambda name: name.endswith(".bin")) == ["fold_0/x.bin"]
    assert (tmp_path / "out/fold_0/x.bin").read_bytes() == b"content"
    assert not (tmp_path / "out/plans.json").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../x", "leads out"),
        ("a/../../x", "leads out"),
        ("a/..", "leads out"),
        ("/tmp/x", "absolute"),
        ("C:/x", "absolute"),
        ("C:x", "absolute"),
        ("\\\\server\\share\\x", "absolute"),
        ("..\\x", "not every system"),
        ("a\\..\\..\\x", "not every system"),
        ("a//x", "not every system"),
        ("./x", "not every system"),
        ("a/./x", "not every system"),
        ("ab:stream", "not every system"),
        ("a\nb", "not every system"),
        ("x.", "not every system"),
        ("x ", "not every system"),
        (". ./x", "not every system"),
        ("y" * 201, "not every system"),
        ("", "not every system"),
        ("a/NUL", "Windows reserves"),
        ("com1.txt", "Windows reserves"),
    ],
)
def test_names_that_lead_elsewhere(tmp_path: Path, name: str, message: str) -> None:
    refused(make(tmp_path / "a.zip", "fine", name), tmp_path / "out", message)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_links_and_devices(tmp_path: Path, kind: int) -> None:
    refused(make(tmp_path / "a.zip", "x", content=b"/etc/passwd", mode=kind | 0o777), tmp_path / "out", "no file")


def test_a_folder_that_is_a_link(tmp_path: Path) -> None:
    refused(make(tmp_path / "a.zip", "x/", content=b"", mode=stat.S_IFLNK | 0o777), tmp_path / "out", "no file")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("x", "X"), "the same file"),
        (("x", "x"), "the same file"),
        (("stra\u00dfe", "STRASSE"), "the same file"),
        ((unicodedata.normalize("NFC", "\u00e4"), unicodedata.normalize("NFD", "\u00e4")), "the same file"),
        (("a", "a/b"), "lies in a file"),
        (("A/b", "a"), "lies in a file"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_twins(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    refused(make(tmp_path / "a.zip", *names), tmp_path / "out", message)


def test_a_bomb(tmp_path: Path) -> None:
    refused(make(tmp_path / "a.zip", "x", content=bytes(20_000_000)), tmp_path / "out", "as only a bomb does")


def test_more_than_is_allowed(tmp_path: Path) -> None:
    path = make(tmp_path / "a.zip", "x", "y", content=bytes(range(256)) * 10)
    refused(path, tmp_path / "out", "would unpack to", most_bytes=5000)


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_ENTRIES", 3)
    refused(make(tmp_path / "a.zip", "a", "b", "c", "d"), tmp_path / "out", "holds 4 files")


def test_entries_that_share_their_bytes(tmp_path: Path) -> None:
    path = make(tmp_path / "a.zip", "x", "y")
    raw = bytearray(path.read_bytes())
    second = raw.index(b"PK\x01\x02", raw.index(b"PK\x01\x02") + 1)
    raw[second + 42 : second + 46] = struct.pack("<L", 0)  # where the second one begins: as the first
    path.write_bytes(raw)
    refused(path, tmp_path / "out", "overlaps the entry before")


def test_encrypted_entries(tmp_path: Path) -> None:
    path = make(tmp_path / "a.zip", "x")
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    refused(path, tmp_path / "out", "is encrypted")


def test_damage_leaves_nothing_half_written(tmp_path: Path) -> None:
    path = make(tmp_path / "a.zip", "x", content=bytes(range(256)))
    raw = bytearray(path.read_bytes())
    raw[40] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(SegForgeError, match="is damaged"):
        unpack(path, tmp_path / "out")
    assert [file for file in (tmp_path / "out").rglob("*") if file.is_file()] == []


def test_an_entry_that_is_larger_than_it_says(tmp_path: Path) -> None:
    path = make(tmp_path / "a.zip", "x", content=bytes(range(256)) * 20)
    raw = bytearray(path.read_bytes())
    directory = raw.index(b"PK\x01\x02")
    raw[directory + 24 : directory + 28] = struct.pack("<L", 100)
    path.write_bytes(raw)
    with pytest.raises(SegForgeError, match="larger than it says|is damaged"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out/x").exists()


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04" + bytes(100)])
def test_no_zip_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    refused(tmp_path / "a.zip", tmp_path / "out", "no zip file")
