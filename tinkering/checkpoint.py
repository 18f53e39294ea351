"""What a run leaves on disk to be used afterwards."""

import json
import pickle
import platform
import tempfile
from pathlib import Path

import torch
from torch import nn

from tinkering.atomic import replace_file
from tinkering.errors import InputError

FORMAT = 1  # of the model file; count it up when its keys change their meaning
WRAPPERS = ("module.", "_orig_mod.")  # put before names by DataParallel and torch.compile


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
    """The model's weights on the CPU, under the names they have in the bare network."""
    weights = {}
    for name, tensor in model.state_dict().items():
        for wrapper in WRAPPERS:
            name = name.replace(wrapper, "")
        weights[name] = tensor.cpu()
    return weights


def save_model(path: Path, model: nn.Module, **about: object) -> None:
    """Writes the weights and everything needed to use them, whole or not at all.

    Args:
        path: of the file, which torch.load(path, weights_only=True) reads as a dict.
        model: its weights go under "model".
        about: further entries, of plain types: arch, arch_args, classes, mean, std, step, ...

    Raises:
        OSError: it cannot be written; a file that was there before stays as it was.
    """
    content = {"format": FORMAT, "model": plain_state_dict(model), "versions": versions(), **about}
    with replace_file(path) as file:
        torch.save(content, file)


def load_model(path: Path) -> dict:
    """What save_model wrote; no code in the file is run.

    Raises:
        InputError: there is no such file, or it is not one of ours.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"there is no model file {path}") from error
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise InputError(f"{path} is damaged, or was not written by this program") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path} is not a model file of format {FORMAT} of this program")
    return content


def save_results(path: Path, results: dict) -> None:
    """Writes a run's figures as JSON, whole or not at all."""
    with replace_file(path) as file:
        file.write((json.dumps(results, indent=2) + "\n").encode())


def versions() -> dict[str, str]:
    """Of what the figures depend on."""
    return {"python": platform.python_version(), "torch": str(torch.__version__)}
