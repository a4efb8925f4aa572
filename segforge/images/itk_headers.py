"""What the headers of NRRD, MetaImage and GIPL files claim, compared with the bytes that are there.

The formats: teem.sourceforge.net/nrrd/format.html, itk.org/Wiki/ITK/MetaIO/Documentation, and ITK's GIPL reader.
"""

import math
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

from segforge.errors import SegForgeError
from segforge.images.inflate import check_length, inflate

_LONGEST_HEADER = 1 << 20
_GIPL_HEADER = 256
_GIPL_MAGIC = (719555000, 4026526128, 2968818928)
_GIPL_BYTES = {1: 1, 7: 1, 8: 1, 15: 2, 16: 2, 31: 4, 32: 4, 64: 4, 65: 8}
_META_BYTES = {"CHAR": 1, "SHORT": 2, "INT": 4, "LONG": 4, "LONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8}
_META_GEOMETRY = ("ElementSpacing", "ElementSize", "Offset", "Position", "Origin", "TransformMatrix", "Rotation", "Orientation")
_NRRD_BYTES = {
    **dict.fromkeys(("char", "int8", "int8_t"), 1),
    **dict.fromkeys(("short", "short int", "int16", "int16_t"), 2),
    **dict.fromkeys(("int", "int32", "int32_t", "float"), 4),
    **dict.fromkeys(("longlong", "long long", "long long int", "int64", "int64_t", "double"), 8),
}
_NRRD_GEOMETRY = ("spacings", "space directions", "space origin")


def check_metaimage(path: Path) -> None:
    """Check an `.mha` or `.mhd` file, and the file of voxels that the latter names.

    Raises:
        SegForgeError: If it is cut or damaged, or of a kind that cannot be checked.
    """
    raw = path.read_bytes()
    fields, begin = _metaimage_fields(raw, path)
    _check_numbers({key: fields[key] for key in _META_GEOMETRY if key in fields}, path)
    if fields.get("BinaryData", "True").lower() != "true":
        raise SegForgeError(f"{path} holds its voxels as text. Save it as binary.")
    kind = fields.get("ElementType", "").removeprefix("MET_").removesuffix("_ARRAY")
    size = _META_BYTES.get(kind if kind in _META_BYTES else kind.removeprefix("U"))
    counts = _counts(fields.get("DimSize", ""))
    if size is None or not counts or str(len(counts)) != fields.get("NDims"):
        raise _no_header(path, "MetaImage")
    claimed = math.prod(counts) * int(fields.get("ElementNumberOfChannels", 1)) * size
    source = voxels_file(path)
    content = raw[begin:] if source is None else _voxels(source, path)
    if fields.get("CompressedData", "False").lower() == "true":
        inflate(content[: int(fields.get("CompressedDataSize", len(content)))], claimed, source or path)
    else:
        check_length(len(content) - max(0, int(fields.get("HeaderSize", 0))), claimed, source or path)


def voxels_file(path: Path) -> Path | None:
    """The file beside an `.mhd` header that holds its voxels; None if they follow the header.

    Raises:
        SegForgeError: If there is no header, or it names several files, or one in another folder.
    """
    with path.open("rb") as file:
        name = _metaimage_fields(file.read(_LONGEST_HEADER), path)[0]["ElementDataFile"]
    if name.upper() == "LOCAL":
        return None
    if not re.fullmatch(r"[^/\\%]+", name) or name.startswith("LIST"):
        raise SegForgeError(f"{path} names {name} for its voxels; SegForge reads one file in the same folder. Save it as .mha.")
    return path.with_name(name)


def check_nrrd(path: Path) -> None:
    """Check an `.nrrd` file.

    Raises:
        SegForgeError: If it is cut or damaged, or of a kind that cannot be checked.
    """
    raw = path.read_bytes()
    end = re.search(rb"\r?\n\r?\n", raw[:_LONGEST_HEADER])
    if end is None or not raw.startswith(b"NRRD000"):
        raise _no_header(path, "NRRD")
    fields = {key.lower(): value for key, value in _fields(raw[: end.start()].decode("latin-1"), ":").items()}
    if "data file" in fields or "datafile" in fields:
        raise SegForgeError(f"{path} is a header without voxels. Save it as one .nrrd file.")
    _check_numbers({key: re.sub(r"none|[(),]", " ", fields[key]) for key in _NRRD_GEOMETRY if key in fields}, path)
    kind = re.sub(r"^(unsigned|signed) |^u(?=[cisl])", "", fields.get("type", "").lower())
    size, counts = _NRRD_BYTES.get(kind), _counts(fields.get("sizes", ""))
    if size is None or not counts or str(len(counts)) != fields.get("dimension"):
        raise _no_header(path, "NRRD")
    encoding = fields.get("encoding", "").lower()
    if encoding in ("gzip", "gz"):
        inflate(raw[end.end() :], math.prod(counts) * size, path)
    elif encoding == "raw":
        check_length(len(raw) - end.end(), math.prod(counts) * size, path)
    else:
        raise SegForgeError(f"{path} has the encoding {encoding or 'none'}; SegForge reads raw and gzip. Save it so.")


def check_gipl(path: Path) -> None:
    """Check a `.gipl` file.

    Raises:
        SegForgeError: If it is cut or damaged.
    """
    raw = path.read_bytes()
    if len(raw) < _GIPL_HEADER or struct.unpack(">I", raw[252:256])[0] not in _GIPL_MAGIC:
        raise _no_header(path, "GIPL")
    counts, kind = struct.unpack(">4H", raw[:8]), struct.unpack(">H", raw[8:10])[0]
    _check_numbers({"pixdim": struct.unpack(">4f", raw[10:26]), "origin": struct.unpack(">4d", raw[204:236])}, path)
    if kind not in _GIPL_BYTES or 0 in counts[:2]:
        raise _no_header(path, "GIPL")
    check_length(len(raw) - _GIPL_HEADER, math.prod(max(1, count) for count in counts) * _GIPL_BYTES[kind], path)


CHECKS: Mapping[str, Callable[[Path], None]] = {
    ".nrrd": check_nrrd,
    ".mha": check_metaimage,
    ".mhd": check_metaimage,
    ".gipl": check_gipl,
}
"""How the file of each ending is checked before it is read."""


def _fields(header: str, separator: str) -> dict[str, str]:
    """`key = value` lines; comments and NRRD's `key:=value` notes are left out."""
    pairs = (line.partition(separator) for line in header.splitlines() if not line.startswith("#"))
    return {key.strip(): value.strip() for key, found, value in pairs if found and not value.startswith("=")}


def _counts(text: str) -> list[int]:
    counts = [int(word) for word in text.split()]
    return counts if all(count > 0 for count in counts) else []


def _check_numbers(fields: Mapping[str, str | tuple[float, ...]], path: Path) -> None:
    for name, value in fields.items():
        numbers = [float(word) for word in value.split()] if isinstance(value, str) else value
        if not all(math.isfinite(number) for number in numbers):
            raise SegForgeError(f"{path} has a {name} that is not finite: {value}. Export it again.")


def _metaimage_fields(raw: bytes, path: Path) -> tuple[dict[str, str], int]:
    """The fields of a MetaImage header, and where the byte after it is."""
    end = re.search(rb"^ElementDataFile *=.*\r?\n", raw[:_LONGEST_HEADER], re.MULTILINE)
    if end is None:
        raise _no_header(path, "MetaImage")
    return _fields(raw[: end.end()].decode("latin-1"), "="), end.end()


def _voxels(voxels: Path, path: Path) -> bytes:
    if not voxels.is_file():
        raise SegForgeError(f"{voxels} is missing, which {path.name} names for its voxels.")
    return voxels.read_bytes()


def _no_header(path: Path, kind: str) -> SegForgeError:
    return SegForgeError(f"{path} has no valid {kind} header. Copy or export it again.")
