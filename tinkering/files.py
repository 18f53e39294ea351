"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tinkering.errors import WriteError


@contextmanager
def replace_file(path: Path, keep: Path | None = None) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` once the block has ended without an error.

    It is written beside `path` and flushed to the disk before the rename, so that after a
    crash there is the old file or the new one, never half of one. Its folder is made.

    Args:
        path: of the file.
        keep: where to move the file that was at `path`; None to let it go.

    Raises:
        WriteError: the folder or the file cannot be written; nothing is left behind.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if keep is not None:
            with suppress(FileNotFoundError):
                path.replace(keep)
        part.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        if error.errno is None:  # not the system's word: what the block reads is damaged
            raise
        raise WriteError(path, error) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def remove_parts(folder: Path, name: str = "*") -> None:
    """Removes what writers of a folder's files that were killed have left; none may be at work."""
    for part in folder.glob(f"{name}.*.part"):
        part.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Makes a rename survive a power cut; Windows can neither do nor need this."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
