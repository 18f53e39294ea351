"""Packages that only some runs need, and that are installed by those who want them."""

import importlib
from types import ModuleType

from tinkering.errors import InputError


def check(arch: str, tensorboard: bool) -> None:
    """Raises InputError where a run with these flags needs a package that is not there."""
    if arch.startswith("timm:"):
        import_extra("timm", "--arch timm:NAME")
    if tensorboard:
        import_extra("tensorboard", "--tensorboard")


def import_extra(module: str, wanted_by: str) -> ModuleType:
    """A module of an optional package.

    Args:
        module: its name; the first part is the package's.
        wanted_by: the flag that asks for it.

    Raises:
        InputError: the package is not installed.
    """
    package = module.partition(".")[0]
    if package == "timm":  # imports torchvision, which this makes importable where it is not
        import tinkering.models.vision  # noqa: F401
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"{wanted_by} needs the package {package}, an extra: "
            "pip install -r requirements-extras.txt"
        ) from error
