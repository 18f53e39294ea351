"""The model file, which holds the best checkpoint, and results.json."""

import io
import json
import math
import platform
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tinkering.errors import DataError, InputError, OutOfMemoryError
from tinkering.files import replace_file

FORMAT = 1  # of the model file; count it up when its keys change their meaning
WRAPPERS = ("module", "_orig_mod")  # parts of names that DataParallel and torch.compile add
# What zipfile raises for a file that is cut off, bit-flipped or of another kind.
NOT_A_ZIP = (OSError, RuntimeError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)


def plain_state_dict(model: nn.Module) -> dict[str, torch.Tensor]:
    """Copy a model's weights to the CPU, under the names they have in the bare network."""
    weights = {}
    for name, tensor in model.state_dict().items():
        bare_name = ".".join(part for part in name.split(".") if part not in WRAPPERS)
        weights[bare_name] = tensor.detach().to("cpu", copy=True)
    return weights


def model_content(model: nn.Module, **about: object) -> dict[str, Any]:
    """Collect what a model file holds: the weights, and everything needed to use them.

    Args:
        model: a copy of its weights goes under "model".
        about: further entries, of plain types: arch, arch_args, classes, mean, std, step, ...
    """
    return {"format": FORMAT, "model": plain_state_dict(model), "versions": versions(), **about}


def save(path: Path, content: dict[str, Any], keep: Path | None = None) -> None:
    """Write a file that torch.load(path, weights_only=True) reads, whole or not at all.

    Args:
        path: of the file.
        content: tensors and plain types.
        keep: where to move the file that was at `path`; None to delete it.

    Raises:
        WriteError: it cannot be written; a file that was there before stays as it was.
    """
    buffer = io.BytesIO()  # so that a full disk is the system's error and not the pickler's
    torch.save(content, buffer)
    with replace_file(path, keep) as file:
        file.write(buffer.getbuffer())


def load(path: Path, file_format: int | str = FORMAT) -> dict[str, Any]:
    """Read what save wrote, each record checked against its CRC-32; runs no code in it.

    Args:
        path: of the file.
        file_format: the value that its "format" must have.

    Raises:
        InputError: there is no such file, it is corrupt, or another program wrote it.
        DataError: the file cannot be read at the moment; it may be sound.
        OutOfMemoryError: there is too little memory to read it.
    """
    data = io.BytesIO(_read_bytes(path))
    try:
        with zipfile.ZipFile(data) as archive:
            corrupt_record = archive.testzip()
    except NOT_A_ZIP as error:
        raise InputError(f"{path} is corrupt, or was not written by this program") from error
    if corrupt_record:
        raise InputError(f"{path} is corrupt: the checksum of {corrupt_record} differs")
    data.seek(0)
    try:
        with warnings.catch_warnings(action="ignore"):
            content = torch.load(data, map_location="cpu", weights_only=True)
    except Exception as error:  # a file made to mislead the unpickler can raise anything
        if isinstance(error, MemoryError) or "allocate memory" in str(error):
            raise OutOfMemoryError(f"too little memory to read {path}") from error
        raise InputError(
            f"{path} holds something other than tensors and plain types; it was not loaded"
        ) from error
    found = content.get("format") if isinstance(content, dict) else None
    if found != file_format:
        raise InputError(
            f"{path} is of format {found}, this program reads format {file_format}: "
            "it was written by another program or by another version of this one"
        )
    return content


def _read_bytes(path: Path) -> bytes:
    """Read a file, so that what fails afterwards is the content and not the reading."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}") from error
    except IsADirectoryError as error:
        raise InputError(f"{path} is a folder; a file is expected there") from error
    except MemoryError as error:
        raise OutOfMemoryError(f"too little memory to read {path}") from error
    except OSError as error:  # permission, a lost mount, too many open files
        raise DataError(
            f"cannot read {path}: {error.strerror}; it was left as it is, try again"
        ) from error


def save_results(path: Path, results: dict[str, Any]) -> None:
    """Write a run's results as JSON, whole or not at all; numbers that are not finite as null."""
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in results.items()
    }
    with replace_file(path) as file:
        file.write((json.dumps(finite, indent=2, allow_nan=False) + "\n").encode())


def versions() -> dict[str, str]:
    """Return the versions that the results depend on."""
    return {"python": platform.python_version(), "torch": str(torch.__version__)}
