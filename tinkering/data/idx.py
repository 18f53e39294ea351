"""Getting IDX files: found where people leave them, or downloaded; verified; mapped into memory.

An IDX file is a header (two zero bytes, the type of the elements, the number of dimensions,
each dimension as a big-endian uint32) and the elements behind it; in the MNIST family they
are bytes, type 8. The format is Yann LeCun's: http://yann.lecun.com/exdb/mnist/
"""

import gzip
import io
import math
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from tinkering.data.downloads import BYTES, Download, fetch
from tinkering.errors import DataError
from tinkering.files import replace_file

MAGIC = b"\0\0\x08"  # elements are bytes
CHUNK = 1 << 20  # bytes
LARGEST = 2 << 30  # bytes of elements; almost four times the largest file there is, EMNIST's
# What gzip and zipfile raise; the last three at offsets, names and versions that cannot be.
DAMAGED = (
    *(EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile),
    *(ValueError, OverflowError, NotImplementedError),
)


def load_idx(
    name: str, folders: Sequence[Path], download: Download, may_write: bool = True
) -> Tensor:
    """The elements of an IDX file, uint8, shaped as its header says.

    The file is taken from the first folder that has it: as `name`, else as `name`.gz, else
    inside download.filename. What is packed is unpacked once, beside the packed file; where
    that folder is read-only, into memory at every start. What is nowhere is downloaded.

    Args:
        name: the file's name when unpacked.
        folders: where to look; a download goes to the first.
        download: `name`.gz, or an archive that has it.
        may_write: else nothing is downloaded, and unpacking is into memory.

    Raises:
        DataError: it is not to be had, or is not what its header says.
    """
    path = _find(name, folders, download.filename)
    if path is None and not may_write:
        raise DataError(f"{download.filename} is not in {folders[0]}; a run would download it")
    path = path or fetch(download, folders[0])
    _check_start(path)
    return map_idx(path) if path.name == name else _unpack(path, name, may_write)


def save_idx(path: Path, elements: Tensor) -> None:
    """Writes a uint8 tensor as an IDX file, whole or not at all."""
    header = MAGIC + struct.pack(f">B{elements.dim()}I", elements.dim(), *elements.shape)
    with replace_file(path) as file:
        file.write(header)
        file.write(elements.contiguous().numpy().tobytes())


def _find(name: str, folders: Sequence[Path], archive: str) -> Path | None:
    for filename in (name, f"{name}.gz", archive):
        for folder in folders:
            path = folder / filename
            if os.path.isfile(path):
                return path
            if os.path.lexists(path):  # whatever it is, it is neither opened nor replaced
                kind = "a folder" if path.is_dir() else "a link that leads to no file, or a device"
                raise DataError(f"{path} is {kind}; a file is expected there: move it away")
    return None


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns what reading and unpacking raise into a DataError."""
    try:
        yield
    except DAMAGED as error:
        raise DataError(
            f"{path} is damaged ({_cause(error)}); delete it and run again, or get it anew"
        ) from error
    except OSError as error:
        raise DataError(
            f"cannot read or unpack {path}: {_cause(error)}; see to its permissions and the disk, "
            "or get it anew"
        ) from error


def _cause(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _check_start(path: Path) -> None:
    """Finds what failed downloads leave, before it is taken for damaged data."""
    with _reading(path), path.open("rb") as file:
        start = file.read(100).lstrip()
    if not start:
        raise DataError(f"{path} is empty; delete it and run again")
    if start.startswith(b"<"):
        raise DataError(f"{path} is a web page saved under this name; delete it and run again")


def map_idx(path: Path) -> Tensor:
    with _reading(path), path.open("rb") as file:
        shape = _read_shape(file, path)
        header_size = file.tell()
        _check_size(path, shape, os.fstat(file.fileno()).st_size - header_size)
        # Copy-on-write: torch wants memory that may be written, the file stays as it is.
        elements = np.memmap(file, np.uint8, mode="c", offset=header_size, shape=shape)
    return torch.from_numpy(elements)


def _read_shape(file: BinaryIO, path: Path) -> tuple[int, ...]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:3] != MAGIC or not 1 <= magic[3] <= 3:
        raise DataError(
            f"{path} is not an IDX file of bytes: it begins with {magic!r}; get it anew"
        )
    dimensions = file.read(4 * magic[3])
    if len(dimensions) < 4 * magic[3]:
        raise DataError(f"{path} is cut off inside its header; delete it and run again")
    shape = struct.unpack(f">{magic[3]}I", dimensions)
    if not 1 <= math.prod(shape) <= LARGEST:
        raise DataError(
            f"{path} is damaged: its header states a shape of {shape}, where 1 to {LARGEST:,} "
            "bytes may be; get it anew"
        )
    return shape


def _check_size(path: Path, shape: tuple[int, ...], size: int) -> None:
    stated = math.prod(shape)
    if size != stated:
        fault = "cut off" if size < stated else "too long"
        raise DataError(
            f"{path} is {fault}: its header states {stated:,} bytes of data, "
            f"it has {size:,}; delete it and run again"
        )


def _unpack(path: Path, name: str, may_write: bool) -> Tensor:
    """The file `name` out of a .gz or .zip, left unpacked beside it where that can be."""
    with _reading(path), _open_packed(path, name) as packed:
        if not (may_write and os.access(path.parent, os.W_OK)):
            buffer = io.BytesIO()
            shape = _copy(packed, buffer, path, name)
            elements = buffer.getbuffer()[-math.prod(shape) :]
            return torch.frombuffer(elements, dtype=torch.uint8).view(shape)
        with replace_file(path.with_name(name)) as file:
            _copy(packed, file, path, name)
    return map_idx(path.with_name(name))


@contextmanager
def _open_packed(path: Path, name: str) -> Iterator[BinaryIO]:
    if path.suffix == ".gz":
        with gzip.open(path) as unpacked:
            yield unpacked
        return
    with zipfile.ZipFile(path) as archive:
        info = _find_member(archive, path, f"{name}.gz")
        with archive.open(info) as member, gzip.open(member) as unpacked:
            yield unpacked


def _find_member(archive: zipfile.ZipFile, path: Path, filename: str) -> zipfile.ZipInfo:
    """In any folder of the archive, which is no path on our disk: nothing is written there."""
    found = [info for info in archive.infolist() if PurePosixPath(info.filename).name == filename]
    if len(found) != 1:
        raise DataError(f"there are {len(found)} files {filename} in {path}, not one: get it anew")
    info = found[0]
    if info.is_dir() or stat.S_ISLNK(info.external_attr >> 16):
        fault = "a folder or a link"
    elif info.flag_bits & 1:
        fault = "encrypted"
    elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        fault = "compressed by another method than deflate"  # some inflate without a bound
    else:
        return info
    raise DataError(f"{filename} in {path} is {fault}: get the archive anew")


def _copy(packed: BinaryIO, target: BinaryIO, path: Path, name: str) -> tuple[int, ...]:
    """Copies an IDX file, and never more of it than its header states; returns its shape."""
    shape = _read_shape(packed, path)
    stated = math.prod(shape)
    target.write(MAGIC + struct.pack(f">B{len(shape)}I", len(shape), *shape))
    copied = 0
    with tqdm(total=stated, desc=f"unpack {name}", **BYTES) as bar:
        while chunk := packed.read(min(CHUNK, stated + 1 - copied)):
            copied += len(chunk)
            target.write(chunk)
            bar.update(len(chunk))
    _check_size(path, shape, copied)
    return shape
