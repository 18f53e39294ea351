"""Reading packed files, none of which is trusted: .gz, and .gz inside .zip."""

import gzip
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tinkering.errors import DataError

# What gzip and zipfile raise: for damage that they know, and for offsets, names and versions that
# are impossible.
FORMAT_ERRORS = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile)
HEADER_ERRORS = (ValueError, OverflowError, NotImplementedError)


@contextmanager
def reading_errors(path: Path) -> Iterator[None]:
    """Turn errors of reading and unpacking into a DataError."""
    try:
        yield
    except FORMAT_ERRORS + HEADER_ERRORS as error:
        raise DataError(
            f"{path} is damaged ({_cause(error)}); delete it and run again, or replace it"
        ) from error
    except OSError as error:
        raise DataError(
            f"cannot read or unpack {path}: {_cause(error)}; check its permissions and the "
            "disk, or replace it"
        ) from error


def _cause(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


@contextmanager
def open_packed(path: Path, name: str) -> Iterator[gzip.GzipFile]:
    """Open the file `name` of a .gz, or the member `name`.gz of a .zip, for reading unpacked."""
    if path.suffix == ".gz":
        with gzip.open(path) as unpacked:
            yield unpacked
        return
    with zipfile.ZipFile(path) as archive:
        info = _find_member(archive, path, f"{name}.gz")
        with archive.open(info) as member, gzip.open(member) as unpacked:
            yield unpacked


def _find_member(archive: zipfile.ZipFile, path: Path, filename: str) -> zipfile.ZipInfo:
    """Find a file in any folder of the archive; that folder is never made on our disk."""
    found = [info for info in archive.infolist() if PurePosixPath(info.filename).name == filename]
    if len(found) != 1:
        raise DataError(f"there are {len(found)} files {filename} in {path}, not one; replace it")
    info = found[0]
    if info.is_dir() or stat.S_ISLNK(info.external_attr >> 16):
        fault = "a folder or a link"
    elif info.flag_bits & 1:
        fault = "encrypted"
    elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        fault = "compressed by another method than deflate"  # some inflate without a bound
    else:
        return info
    raise DataError(f"{filename} in {path} is {fault}; replace the archive")
