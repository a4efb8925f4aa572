"""NIfTI files: inflated with their check sums, parsed by nibabel, placed in the world as ITK would place them."""

import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

import nibabel
import numpy as np

from segforge.compute.files import write_bytes
from segforge.errors import SegForgeError
from segforge.images.image import IDENTITY, Array, Geometry, Image

ENDINGS = (".nii.gz", ".nii")

_HEADER_BYTES = 540
_LARGEST_RATIO = 1032  # of deflate
_CHUNK = 1 << 26
_MM_PER_UNIT = {"meter": 1e3, "micron": 1e-3}
_LPS = np.array([-1.0, -1.0, 1.0])  # NIfTI's world is right, anterior, superior
_ORTHONORMAL = 1e-3


def read(path: Path) -> Image:
    """Read a 2D, 3D or 4D file; a fourth axis becomes channels.

    Raises:
        SegForgeError: If the file is damaged, shorter than its header claims, or has a geometry that is not finite.
    """
    raw = path.read_bytes()
    header = _header(_first_bytes(raw, path), path)
    shape, dtype = header.get_data_shape(), header.get_data_dtype()
    if not shape or min(shape) < 1 or (len(shape) > 4 and shape[3] != 1) or len(shape) > 5:
        raise SegForgeError(f"{path} has the shape {shape}; SegForge reads planes, volumes, and volumes with channels.")
    begin = int(header.get_data_offset())
    if begin < header.sizeof_hdr + 4:
        raise SegForgeError(f"{path} is damaged: its voxels begin at byte {begin}, inside its header. Copy or export it again.")
    size = begin + int(np.prod(shape, dtype=object)) * dtype.itemsize
    content = _inflate(raw, size, path) if path.name.endswith(".gz") else raw
    if len(content) < size:
        raise SegForgeError(
            f"{path} is truncated: its header claims {size} bytes, it has {len(content)}. Copy or export it again."
        )
    stored = np.frombuffer(content, dtype, offset=begin, count=int(np.prod(shape))).reshape(shape, order="F")
    return Image(_scaled(_channels_first(stored), header), _geometry(header, path))


def write(path: Path, array: Array, geometry: Geometry) -> None:
    """Write a volume `(Z, Y, X)` on a grid; with the header of the grid's own file if it came from NIfTI."""
    plane = array[0].T if geometry.is_2d else array.transpose(2, 1, 0)
    header = nibabel.Nifti1Header(geometry.header, check=False) if geometry.header else _header_for(geometry)
    header.set_data_dtype(array.dtype)
    header.set_data_shape(plane.shape)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0
    header["magic"] = b"n+1"
    header["vox_offset"] = 352
    content = header.binaryblock + bytes(4) + plane.astype(header.get_data_dtype()).tobytes(order="F")
    if path.name.endswith(".gz"):
        packer = _zlib().compressobj(2, zlib.DEFLATED, 31)
        content = packer.compress(content) + packer.flush()
    write_bytes(path, content)


def _zlib() -> ModuleType:
    """The fast inflater where it is installed, else Python's own; both check the CRC."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    return isal_zlib


def _first_bytes(raw: bytes, path: Path) -> bytes:
    if not path.name.endswith(".gz"):
        return raw[:_HEADER_BYTES]
    try:
        return bytes(_zlib().decompressobj(31).decompress(raw, _HEADER_BYTES))
    except Exception as error:
        raise SegForgeError(f"{path} is not a gzip file: {error}. Copy or export it again.") from error


def _header(first: bytes, path: Path) -> Any:
    kind = nibabel.Nifti2Header if first[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c") else nibabel.Nifti1Header
    try:
        return kind(first[: kind.sizeof_hdr], check=True)  # type: ignore[no-untyped-call]
    except Exception as error:
        raise SegForgeError(f"{path} has no valid NIfTI header: {error}. Copy or export it again.") from error


def _inflate(raw: bytes, size: int, path: Path) -> bytes:
    """The first `size` bytes of a gzip file, after its whole content was inflated and its check sums compared."""
    if size > len(raw) * _LARGEST_RATIO:
        raise SegForgeError(
            f"{path} is damaged: its header claims {size} bytes, more than a file of {len(raw)} bytes can hold."
        )
    pieces, length, rest = [], 0, raw
    try:
        while rest.strip(b"\0"):
            stream = _zlib().decompressobj(31)
            while not stream.eof:
                piece = stream.decompress(rest, _CHUNK)
                if not piece and not stream.unconsumed_tail and not stream.eof:
                    raise EOFError("it ends too early")
                if length < size:
                    pieces.append(piece)
                length += len(piece)
                rest = stream.unconsumed_tail
            rest = stream.unused_data
    except Exception as error:
        raise SegForgeError(f"{path} is truncated or damaged: {error}. Copy or export it again.") from error
    return b"".join(pieces)


def _channels_first(stored: Array) -> Array:
    """From stored axes (x, y[, z[, channel]]) to (C, Z, Y, X)."""
    while stored.ndim > 4 and stored.shape[3] == 1:
        stored = stored[:, :, :, 0]
    axes = stored.reshape(stored.shape + (1,) * (4 - stored.ndim))
    return axes.transpose(3, 2, 1, 0)


def _scaled(array: Array, header: Any) -> Array:
    slope, intercept = header.get_slope_inter()
    if slope in (None, 1) and intercept in (None, 0):
        return array
    return array * (1.0 if slope is None else slope) + (0.0 if intercept is None else intercept)


def _geometry(header: Any, path: Path) -> Geometry:
    """As ITK: spacing from pixdim, the sform's axes if they are at right angles and preferred, else the qform's."""
    x, y, z = (*header.get_data_shape()[:3], 1)[:3]
    unit = _MM_PER_UNIT.get(header.get_xyzt_units()[0], 1.0)
    zooms = np.abs(np.array(header["pixdim"][1:4], np.float64)) * unit
    is_2d = len(header.get_data_shape()) == 2
    if is_2d:
        zooms[2] = 999 * zooms[:2].max()
    axes, origin = _axes(header, path)
    if not (np.isfinite(zooms).all() and np.isfinite(axes).all() and np.isfinite(origin).all()) or zooms.min() <= 0:
        raise SegForgeError(
            f"{path} has a voxel size or position that is not a number above 0: {zooms.tolist()}. Export it again."
        )
    direction = _LPS[:, None] * axes
    return Geometry(
        shape=(int(z), int(y), int(x)),
        spacing=(float(zooms[2]), float(zooms[1]), float(zooms[0])),
        origin=tuple((_LPS * origin * unit).tolist()),
        direction=tuple(direction.ravel().tolist()),
        is_2d=is_2d,
        header=header.binaryblock
        if isinstance(header, nibabel.Nifti1Header) and not isinstance(header, nibabel.Nifti2Header)
        else None,
    )


def _axes(header: Any, path: Path) -> tuple[Array, Array]:
    """Unit vectors of the stored axes as columns, and the origin, both in NIfTI's world."""
    sform, sform_code = header.get_sform(coded=True)
    qform, qform_code = header.get_qform(coded=True)
    lengths = np.linalg.norm(header.get_sform()[:3, :3], axis=0)
    if sform_code and (sform_code == 1 or not qform_code) and lengths.min() > 0:
        axes = sform[:3, :3] / lengths
        if np.allclose(axes.T @ axes, np.eye(3), atol=_ORTHONORMAL):
            return axes, sform[:3, 3]
        if not qform_code:
            raise SegForgeError(f"{path} has axes that are not at right angles (sheared sform). Resample it to a regular grid.")
    if qform_code:
        return qform[:3, :3] / np.linalg.norm(qform[:3, :3], axis=0), qform[:3, 3]
    return np.array(IDENTITY).reshape(3, 3) * _LPS[:, None], np.zeros(3)


def _header_for(geometry: Geometry) -> Any:
    header = nibabel.Nifti1Header()
    affine = np.eye(4)
    spacing = np.array(geometry.spacing[::-1])
    affine[:3, :3] = _LPS[:, None] * np.array(geometry.direction).reshape(3, 3) * spacing
    affine[:3, 3] = _LPS * geometry.origin
    z, y, x = geometry.shape
    header.set_data_shape((x, y) if geometry.is_2d else (x, y, z))
    header.set_xyzt_units("mm")
    header.set_qform(affine, 1)
    header.set_sform(affine, 1)
    header["pixdim"][1:4] = spacing
    return header
