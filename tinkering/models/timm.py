"""The networks of the package timm, an extra, by the names that timm has for them."""

import difflib

import torch
from torch import nn

from tinkering.errors import InputError, OutOfMemoryError
from tinkering.extras import import_extra
from tinkering.runtime.device import enough_memory


def make(name: str, num_classes: int, in_channels: int, image_size: int) -> nn.Module:
    """timm's network of this name with new weights, tried on two images; nothing is downloaded.

    A network of a fixed input size is made for images of image_size x image_size. The weights,
    and the random state left behind, are those that timm's construction alone leads to.
    Maps images, float (N, in_channels, image_size, image_size), to logits (N, num_classes).

    Raises:
        InputError: timm is not installed, has no such network, or the network does not take
            such images.
        OutOfMemoryError: the machine has not the memory for the network.
    """
    timm = import_extra("timm", "--arch timm:NAME")
    if name not in (names := timm.list_models()):
        raise InputError(f"timm has no network {name!r}{_nearest(name, names)}")
    config = timm.models.get_pretrained_cfg(name)
    sizes = {"img_size": image_size} if config.fixed_input_size else {}
    try:
        with enough_memory("a smaller network"):
            model = timm.create_model(name, num_classes=num_classes, in_chans=in_channels, **sizes)
            _refuse_cut_off_pixels(model, timm.layers.PatchEmbed, image_size)
            _try_out(model, (in_channels, image_size, image_size), num_classes)
    except OutOfMemoryError:
        raise
    except Exception as error:  # each family of networks has its own, down to a division by zero
        reason = str(error).split("\n")[0] or type(error).__name__
        raise InputError(
            f"timm:{name} does not take images of {image_size} x {image_size}: {reason}"
        ) from error
    return model


def _nearest(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name.lower(), names)
    return f"; the nearest: {', '.join(near)}" if near else "; timm.list_models() lists them all"


def _refuse_cut_off_pixels(model: nn.Module, patches: type[nn.Module], image_size: int) -> None:
    """Raises ValueError where patches do not fill the image: timm would leave out the rest."""
    for module in model.modules():
        if isinstance(module, patches) and image_size % module.patch_size[0]:
            raise ValueError(
                f"{image_size} is not divisible by its patch size, {module.patch_size[0]}"
            )


def _try_out(model: nn.Module, image_shape: tuple[int, int, int], num_classes: int) -> None:
    """Raises ValueError for an output other than logits, and what the network itself raises.

    In eval mode, so that no running mean moves; the network is left in training mode.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        logits = model.eval()(torch.zeros(2, *image_shape))
    model.train()
    if not isinstance(logits, torch.Tensor) or logits.shape != (2, num_classes):
        raise ValueError("it gives something else than a row of logits for each")
