"""Optional packages, imported when a run needs them."""

import importlib
from types import ModuleType

from tinkering.errors import InputError

_libraries: list[object] = []  # of declared operators, which exist while these are referenced


def check(arch: str, tensorboard: bool) -> None:
    """Raise InputError if a run with these flags needs a package that is not installed."""
    if arch.startswith("timm:"):
        import_extra("timm", "--arch timm:NAME")
    if arch == "resnet18":
        import_torchvision("--arch resnet18")
    if tensorboard:
        import_extra("tensorboard", "--tensorboard")


def import_extra(module: str, wanted_by: str) -> ModuleType:
    """Import a module of an optional package by its full name.

    Raises:
        InputError: the package, which `wanted_by`, a flag or a command, needs is not installed.
    """
    package = module.partition(".")[0]
    if package == "timm":  # imports torchvision itself
        import_torchvision(wanted_by)
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"{wanted_by} needs the package {package}, an extra: "
            "pip install -r requirements-extras.txt"
        ) from error


def import_torchvision(wanted_by: str = "this program") -> ModuleType:
    """Import torchvision, also where pip has installed its CUDA build beside a CPU torch.

    There its compiled operators cannot load, and `import torchvision` fails when it registers a
    shape rule for two of them (pytorch#122494, pytorch#157648). Once the two are declared, its
    datasets, transforms and models work; none of them uses a compiled operator.

    Raises:
        InputError: torchvision is not installed.
    """
    try:
        return importlib.import_module("torchvision")
    except ImportError as error:
        reason = f"{wanted_by} needs the package torchvision: pip install torchvision"
        raise InputError(reason) from error
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _libraries.append(library)
    return importlib.import_module("torchvision")
