"""IDX files: found where people leave them, or downloaded; verified; read into memory or mapped.

An IDX file is a header (two zero bytes, the type of the elements, the number of dimensions,
each dimension as a big-endian uint32) and the elements behind it; in the MNIST family they
are bytes, type 8. The format is Yann LeCun's: http://yann.lecun.com/exdb/mnist/
"""

import hashlib
import io
import math
import os
import stat
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from tinkering.data.archives import open_packed, reading_errors
from tinkering.data.downloads import BYTES, Download, fetch
from tinkering.errors import DataError
from tinkering.files import replace_file

MAGIC = b"\0\0\x08"  # elements are bytes
CHUNK = 1 << 20  # bytes
MAX_SIZE = 2 << 30  # bytes of elements; almost four times EMNIST's largest file
# A mapped file that is cut off while it is in use kills the process (SIGBUS); smaller files
# are read, which costs 15 ms for MNIST, larger ones would cost their size in memory.
MIN_MAPPED_SIZE = 256 << 20  # bytes of elements


class Official(NamedTuple):
    """Size in bytes and SHA-256 of a published file when unpacked."""

    size: int
    sha256: str


def load_idx(
    name: str,
    folders: Sequence[Path],
    download: Download,
    official: Official | None = None,
    may_write: bool = True,
) -> Tensor:
    """Load the elements of an IDX file, uint8, shaped as its header says.

    The file is searched in each folder as `name`, then as `name`.gz, then inside
    download.filename. A packed file is unpacked once, beside the packed one; where that folder
    is read-only, into memory at every start. A file that is in no folder is downloaded.

    Args:
        name: the file's name when unpacked.
        folders: where to look; a download goes to the first.
        download: `name`.gz, or an archive that contains it.
        official: a file of this size must have this content; None where any content is right.
        may_write: whether to download and to keep what is unpacked.

    Raises:
        DataError: it is missing, cannot be read, or is corrupt.
    """
    path = _find(name, folders, download.filename)
    if path is None and not may_write:
        raise DataError(f"{download.filename} is not in {folders[0]}; a run would download it")
    path = path or fetch(download, folders[0])
    _check_start(path)
    if path.name == name:
        return read_idx(path, official)
    return _unpack(path, name, official, may_write)


def read_idx(path: Path, official: Official | None = None) -> Tensor:
    """Read an unpacked IDX file; one of MIN_MAPPED_SIZE or more is mapped.

    Raises:
        DataError: as in load_idx.
    """
    with reading_errors(path), path.open("rb") as file:
        _check_official(file, path, official)
        file.seek(0)
        shape = _read_shape(file, path)
        size = math.prod(shape)
        _check_size(path, shape, os.fstat(file.fileno()).st_size - file.tell())
        if size < MIN_MAPPED_SIZE:
            return torch.from_numpy(np.fromfile(file, np.uint8).reshape(shape))
        # Copy-on-write: torch wants memory that may be written, and the file stays as it is.
        return torch.from_numpy(np.memmap(file, np.uint8, "c", file.tell(), shape))


def save_idx(path: Path, elements: Tensor) -> None:
    """Write a uint8 tensor of at most 3 dimensions as an IDX file, whole or not at all."""
    with replace_file(path) as file:
        file.write(_header(elements.shape) + elements.numpy().tobytes())


def _header(shape: Sequence[int]) -> bytes:
    return MAGIC + struct.pack(f">B{len(shape)}I", len(shape), *shape)


def _find(name: str, folders: Sequence[Path], archive: str) -> Path | None:
    """The first of the file, the packed file and the archive that any of the folders has."""
    for filename in (name, f"{name}.gz", archive):
        for folder in folders:
            path = folder / filename
            try:
                mode = path.stat().st_mode
            except (FileNotFoundError, NotADirectoryError):
                if not path.is_symlink():
                    continue
                mode = 0
            except OSError as error:  # no permission, a loop of symbolic links
                raise DataError(f"cannot read {path}: {error.strerror}") from error
            if not stat.S_ISREG(mode):  # neither opened nor replaced
                kind = "a folder" if stat.S_ISDIR(mode) else "a link to no file, or a device"
                raise DataError(f"{path} is {kind}; a file is expected there: move it away")
            return path
    return None


def _check_start(path: Path) -> None:
    """Refuse what failed downloads leave: an empty file or a web page."""
    with reading_errors(path), path.open("rb") as file:
        start = file.read(100).lstrip()
    if not start:
        raise DataError(f"{path} is empty; delete it and run again")
    if start.startswith(b"<"):
        raise DataError(f"{path} is a web page saved under this name; delete it and run again")


def _read_shape(file: io.BufferedIOBase, path: Path) -> tuple[int, ...]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:3] != MAGIC or not 1 <= magic[3] <= 3:
        raise DataError(f"{path} is not an IDX file of bytes: it begins with {magic!r}; replace it")
    dimensions = file.read(4 * magic[3])
    if len(dimensions) < 4 * magic[3]:
        raise DataError(f"{path} is cut off inside its header; delete it and run again")
    shape = struct.unpack(f">{magic[3]}I", dimensions)
    if not 1 <= math.prod(shape) <= MAX_SIZE:
        raise DataError(
            f"{path} is damaged: its header states a shape of {shape}, where 1 to {MAX_SIZE:,} "
            "bytes are possible; replace it"
        )
    return shape


def _check_size(path: Path, shape: tuple[int, ...], size: int) -> None:
    stated = math.prod(shape)
    if size != stated:
        fault = "cut off" if size < stated else "too long"
        sizes = f"its header states {stated:,} bytes of data, it has {size:,}"
        raise DataError(f"{path} is {fault}: {sizes}; delete it and run again")


def _check_official(file: BinaryIO, path: Path, official: Official | None) -> None:
    """Refuse a file that has the official one's size and other content."""
    if official is None or file.seek(0, os.SEEK_END) != official.size:
        return
    file.seek(0)
    if hashlib.file_digest(file, "sha256").hexdigest() != official.sha256:  # type: ignore[arg-type]
        raise DataError(
            f"{path} is not the official file: its checksum differs, so it is damaged or another "
            "data set's; delete it and run again, which downloads it"
        )


def _unpack(path: Path, name: str, official: Official | None, may_write: bool) -> Tensor:
    """Unpack the file `name` of a .gz or .zip, into its folder where that can be written."""
    unpacked = path.with_name(name)
    with reading_errors(path), open_packed(path, name) as packed:
        if not (may_write and os.access(path.parent, os.W_OK)):
            buffer = io.BytesIO()
            shape = _copy(packed, buffer, path, official)
            elements = buffer.getbuffer()[-math.prod(shape) :]
            return torch.frombuffer(elements, dtype=torch.uint8).view(shape)
        with replace_file(unpacked) as file:
            _copy(packed, file, path, official)
    return read_idx(unpacked)


def _copy(
    packed: io.BufferedIOBase, target: BinaryIO, path: Path, official: Official | None
) -> tuple[int, ...]:
    """Copy an IDX file, never more of it than its header states; return its shape."""
    shape = _read_shape(packed, path)
    stated = math.prod(shape)
    target.write(_header(shape))
    copied = 0
    with tqdm(total=stated, desc=f"unpack {path.name}", **BYTES) as bar:
        while chunk := packed.read(min(CHUNK, stated + 1 - copied)):
            copied += len(chunk)
            target.write(chunk)
            bar.update(len(chunk))
    _check_size(path, shape, copied)
    _check_official(target, path, official)
    return shape
