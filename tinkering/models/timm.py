"""The networks of the package timm, an optional package, by the names they have there."""

import difflib

from torch import nn

from tinkering.errors import InputError
from tinkering.extras import import_extra


def make_timm_model(name: str, num_classes: int, in_channels: int, image_size: int) -> nn.Module:
    """Build timm's network of this name with new weights; nothing is downloaded.

    A network with a fixed input size is built for images of image_size x image_size.
    Maps images, float (N, in_channels, image_size, image_size), to logits (N, num_classes).

    Raises:
        InputError: timm is not installed or has no such network, or the network would ignore
            the last rows and columns of the images.
    """
    timm = import_extra("timm", "--arch timm:NAME")
    if name not in (names := timm.list_models()):
        near = ", ".join(difflib.get_close_matches(name.lower(), names))
        hint = f"the nearest: {near}" if near else "timm.list_models() lists them all"
        raise InputError(f"timm has no network {name!r}; {hint}")
    config = timm.models.get_pretrained_cfg(name)
    sizes = {"img_size": image_size} if config.fixed_input_size else {}
    model = timm.create_model(name, num_classes=num_classes, in_chans=in_channels, **sizes)
    for module in model.modules():
        if isinstance(module, timm.layers.PatchEmbed) and image_size % module.patch_size[0]:
            raise InputError(
                f"--arch timm:{name} does not accept images of {image_size} x {image_size} pixels: "
                f"{image_size} is not divisible by its patch size, {module.patch_size[0]}"
            )
    return model
