"""NIfTI files: inflated with their check sums, parsed by nibabel, placed in the world as ITK would place them."""

import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from segforge.compute.files import write_bytes
from segforge.errors import SegForgeError
from segforge.images.image import IDENTITY, PLANE_THICKNESS, Array, Geometry, Image, are_at_right_angles, checked
from segforge.images.inflate import GZIP, check_length, fast_zlib, first_bytes, inflate

_HEADER_BYTES, _SHORTEST_HEADER = 540, 348
_GRID_BYTES = 1 << 16  # a packed header is among them
_MM_PER_UNIT = {"meter": 1e3, "micron": 1e-3}
_LPS = np.array([-1.0, -1.0, 1.0])  # NIfTI's world is right, anterior, superior


def read(path: Path) -> Image:
    """Read a 2D, 3D or 4D file; a fourth axis becomes channels.

    Raises:
        SegForgeError: If the file is damaged, shorter than its header claims, or has a geometry that is not finite.
    """
    raw = path.read_bytes()
    packed = raw[:2] == GZIP
    header = _header(first_bytes(raw, _HEADER_BYTES, path) if packed else raw[:_HEADER_BYTES], path)
    shape, dtype = header.get_data_shape(), header.get_data_dtype()
    if dtype.kind not in "iuf":
        raise SegForgeError(f"{path} holds {dtype} voxels; SegForge reads integers and real numbers. Export it as such.")
    if not shape or min(shape) < 1 or (len(shape) > 4 and shape[3] != 1) or len(shape) > 5:
        raise SegForgeError(
            f"{path} has the shape {shape}; SegForge reads planes, volumes, and volumes with channels. Save each volume as a "
            "file of its own."
        )
    begin = int(header.get_data_offset())
    if begin < header.sizeof_hdr + 4:
        raise SegForgeError(f"{path} is damaged: its voxels begin at byte {begin}, inside its header. Copy or export it again.")
    size = begin + int(np.prod(shape, dtype=object)) * dtype.itemsize
    content = inflate(raw, size, path) if packed else raw
    check_length(len(content), size, path)
    stored = np.frombuffer(content, dtype, offset=begin, count=int(np.prod(shape))).reshape(shape, order="F")
    return Image(_scaled(_channels_first(stored), header), _geometry(header, path))


def read_grid(path: Path) -> Geometry:
    """The grid of a file, from its first bytes alone."""
    with path.open("rb") as file:
        raw = file.read(_GRID_BYTES)
    return _geometry(_header(first_bytes(raw, _HEADER_BYTES, path) if raw[:2] == GZIP else raw[:_HEADER_BYTES], path), path)


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
    if path.name.lower().endswith(".gz"):
        packer = fast_zlib().compressobj(2, zlib.DEFLATED, 31)
        content = packer.compress(content) + packer.flush()
    write_bytes(path, content)


def _header(first: bytes, path: Path) -> Any:
    check_length(len(first), _SHORTEST_HEADER, path)
    kind = nibabel.Nifti2Header if first[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c") else nibabel.Nifti1Header
    try:
        return kind(first[: kind.sizeof_hdr], check=True)  # type: ignore[no-untyped-call]
    except Exception as error:
        raise SegForgeError(f"{path} has no valid NIfTI header: {error}. Copy or export it again.") from error


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
        zooms[2] = PLANE_THICKNESS * zooms[:2].max()
    axes, origin = _axes(header, path)
    direction = _LPS[:, None] * axes
    geometry = Geometry(
        shape=(int(z), int(y), int(x)),
        spacing=(float(zooms[2]), float(zooms[1]), float(zooms[0])),
        origin=tuple((_LPS * origin * unit).tolist()),
        direction=tuple(direction.ravel().tolist()),
        is_2d=is_2d,
        header=header.binaryblock
        if isinstance(header, nibabel.Nifti1Header) and not isinstance(header, nibabel.Nifti2Header)
        else None,
    )
    return checked(geometry, path)


def _axes(header: Any, path: Path) -> tuple[Array, Array]:
    """Unit vectors of the stored axes as columns, and the origin, both in NIfTI's world."""
    sform, sform_code = header.get_sform(coded=True)
    qform, qform_code = header.get_qform(coded=True)
    lengths = np.linalg.norm(header.get_sform()[:3, :3], axis=0)
    if sform_code and (sform_code == 1 or not qform_code) and lengths.min() > 0:
        axes = sform[:3, :3] / lengths
        if are_at_right_angles(axes):
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
