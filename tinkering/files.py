"""Files that appear whole or not at all."""

import errno
import glob
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tinkering.errors import WriteError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

TOKEN_BYTES = 8
ABANDONED_AFTER = 24 * 3600  # seconds; counts only where files cannot be locked
LOST_WRITES = {errno.EIO, errno.ENOSPC, errno.EDQUOT}


@contextmanager
def replace_file(path: Path, keep: Path | None = None) -> Iterator[BinaryIO]:
    """Open a binary file that replaces `path` when the block ends without an error.

    It is written beside `path` under a name of its own and flushed to the disk before the
    rename, so that after a crash there is the old file or the new one, never half of one. Its
    folder is made. What killed writers of `path` left half-written is removed.

    Args:
        keep: new path of the file that was at `path`; None to drop it.

    Raises:
        WriteError: the folder or the file cannot be written; nothing is left behind.
    """
    part = None
    try:
        make_folder(path.parent)
        remove_parts(path.parent, path.name)
        with _create_part(path) as file:
            part = Path(file.name)
            yield file
            file.flush()
            os.fsync(file.fileno())
            if fcntl is None:  # Windows renames no open file; elsewhere it stays locked
                file.close()
            if keep is not None:
                with suppress(FileNotFoundError):
                    path.replace(keep)
            part.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        if error.errno is None:  # not of this file: what the block reads is damaged
            raise
        raise WriteError(path, error) from error
    finally:
        if part is not None:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; raise WriteError if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(folder, error) from error


def remove_parts(folder: Path, name: str | None = None) -> None:
    """Remove the half-written files of killed writers; those of running ones stay.

    A writer locks its file for as long as it writes. Where files cannot be locked, those that
    changed within a day stay. `name` is of the file that was to be written; None for any.
    """
    pattern = "*" if name is None else glob.escape(name)
    for part in folder.glob(f".{pattern}.{'[0-9a-f]' * 2 * TOKEN_BYTES}.part"):
        with suppress(OSError):  # removed by another process, or not ours to remove
            with part.open("rb+") as file:
                locked = _try_lock(file)
                if locked:
                    part.unlink()
            if locked is None and time.time() - part.stat().st_mtime > ABANDONED_AFTER:
                part.unlink()


def _create_part(path: Path) -> BinaryIO:
    """Create a file beside `path`, under a unique name, and lock it until it is closed."""
    while True:
        part = path.with_name(f".{path.name}.{secrets.token_hex(TOKEN_BYTES)}.part")
        file = part.open("x+b")
        if _try_lock(file) is not False and part.exists():
            return file
        file.close()  # another process took it for abandoned before it was locked


def _try_lock(file: BinaryIO) -> bool | None:
    """Lock an open file: False if another has it locked, None if there are no locks here."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut, on file systems that can do so.

    Network and FUSE file systems answer EINVAL and the like, and Windows opens no folder.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in LOST_WRITES:
            raise
