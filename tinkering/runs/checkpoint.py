"""What a run leaves on disk to be used afterwards."""

import io
import json
import platform
import tempfile
import warnings
import zipfile
import zlib
from pathlib import Path

import torch
from torch import nn

from tinkering.errors import InputError
from tinkering.files import replace_file

FORMAT = 1  # of the model file; count it up when its keys change their meaning
WRAPPERS = ("module", "_orig_mod")  # parts of names that DataParallel and torch.compile add
# What zipfile raises at a file that is cut off, bit-flipped or of another kind.
NOT_A_ZIP = (OSError, RuntimeError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)


def prepare_folders(*files: Path) -> None:
    """Makes the folders that files will be written into, and tries whether they can be.

    Raises:
        InputError: a folder cannot be made or written, or a file's place is taken by a folder.
    """
    for file in files:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=file.parent):
                pass
        except OSError as error:
            raise InputError(f"cannot write into {file.parent}: {error.strerror}") from error
        if file.is_dir():
            raise InputError(f"{file} is a folder; choose another name for the file")


def plain_state_dict(model: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of the model's weights on the CPU, under the names they have in the bare network."""
    weights = {}
    for name, tensor in model.state_dict().items():
        bare_name = ".".join(part for part in name.split(".") if part not in WRAPPERS)
        weights[bare_name] = tensor.detach().to("cpu", copy=True)
    return weights


def model_content(model: nn.Module, **about: object) -> dict:
    """What a model file holds: the weights, and everything needed to use them.

    Args:
        model: a copy of its weights goes under "model".
        about: further entries, of plain types: arch, arch_args, classes, mean, std, step, ...
    """
    return {"format": FORMAT, "model": plain_state_dict(model), "versions": versions(), **about}


def save(path: Path, content: dict, keep: Path | None = None) -> None:
    """Writes a file that torch.load(path, weights_only=True) reads, whole or not at all.

    Args:
        path: of the file.
        content: tensors and plain types.
        keep: where to move the file that was at `path`; None to let it go.

    Raises:
        WriteError: it cannot be written; a file that was there before stays as it was.
    """
    buffer = io.BytesIO()  # so that a full disk is the system's error and not the pickler's
    torch.save(content, buffer)
    with replace_file(path, keep) as file:
        file.write(buffer.getbuffer())


def load(path: Path, file_format: int = FORMAT) -> dict:
    """What save wrote, each of its records checked against its CRC-32; runs no code in it.

    Args:
        path: of the file.
        file_format: what its "format" must be.

    Raises:
        InputError: there is no such file, it is damaged, or it is none of ours.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged_record = archive.testzip()
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}") from error
    except NOT_A_ZIP as error:
        raise InputError(f"{path} is damaged, or was not written by this program") from error
    if damaged_record:
        raise InputError(f"{path} is damaged: the checksum of {damaged_record} is another")
    try:
        with warnings.catch_warnings(action="ignore"):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file made to mislead the unpickler can raise anything
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


def save_results(path: Path, results: dict) -> None:
    """Writes a run's figures as JSON, whole or not at all."""
    with replace_file(path) as file:
        file.write((json.dumps(results, indent=2) + "\n").encode())


def versions() -> dict[str, str]:
    """Of what the figures depend on."""
    return {"python": platform.python_version(), "torch": str(torch.__version__)}
