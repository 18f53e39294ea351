"""What a network needs, found on torch's meta device, which allocates and computes nothing."""

import warnings
from collections.abc import Collection

import torch
from torch import Tensor, UntypedStorage

from tinkering.errors import InputError, OutOfMemoryError
from tinkering.models import build

GIB = 2**30
NUM_COPIES = 4  # of the weights, at least: themselves, gradients, optimizer state, best so far
ACTIVATION_BYTES = 2  # at least: bf16 and fp16


def check_network(
    arch: str,
    arguments: dict[str, int],
    image_shape: tuple[int, int, int],
    batch_sizes: Collection[int],
    available: int | None,
) -> None:
    """Refuse a network that cannot be trained on the images of a run, before it is built.

    Args:
        arch, arguments: as in build.
        image_shape: channels, height and width.
        batch_sizes: all numbers of images in a micro-batch of the run.
        available: bytes of free memory; None for unknown.

    Raises:
        InputError: the network does not accept such images, or not so small a batch.
        OutOfMemoryError: it cannot fit into memory with the largest batch.
    """
    try:
        # Layers without elements make torch warn before they fail.
        with torch.device("meta"), warnings.catch_warnings(action="ignore"):
            model = build(arch, arguments)
            logits = model(torch.empty(2, *image_shape))
        if not isinstance(logits, Tensor) or logits.shape != (2, arguments["num_classes"]):
            raise ValueError("it gives something other than a row of logits for each")
    except InputError:
        raise
    except Exception as error:  # timm's networks raise anything, a division by zero for one
        height, width = image_shape[1:]
        reason = str(error).split("\n")[0] or type(error).__name__
        raise InputError(
            f"--arch {arch} does not accept images of {height} x {width} pixels ({reason}); "
            "resnet4stage and preact20 accept every size"
        ) from error
    try:
        if min(batch_sizes) == 1:
            model(torch.empty(1, *image_shape, device="meta"))
    except ValueError as error:
        raise InputError(
            f"--arch {arch} cannot be trained on a batch of a single image, which BatchNorm cannot "
            "normalise, and a batch of this run has one: change --batch_size or --train_subset"
        ) from error
    if available is not None:
        _check_memory(arch, arguments, image_shape, max(batch_sizes), available)


def training_memory(
    arch: str, arguments: dict[str, int], image_shape: tuple[int, int, int]
) -> tuple[int, int]:
    """Estimate the memory of training from below, whatever the optimizer and the precision.

    Returns:
        the bytes of all copies of the weights, and the bytes of activations per image of a
        micro-batch that the forward pass keeps for the backward pass.
    """
    kept: dict[int, UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[id(storage)] = storage
        return tensor

    with torch.device("meta"):
        model = build(arch, arguments)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            model(torch.empty(2, *image_shape))  # BatchNorm needs two
    for weight in (*model.parameters(), *model.buffers()):
        kept.pop(id(weight.untyped_storage()), None)
    num_activations = sum(storage.nbytes() for storage in kept.values()) // 4 // 2  # of an image
    num_weights = sum(p.numel() for p in model.parameters())
    return NUM_COPIES * 4 * num_weights, num_activations * ACTIVATION_BYTES


def _check_memory(
    arch: str,
    arguments: dict[str, int],
    image_shape: tuple[int, int, int],
    batch_size: int,
    available: int,
) -> None:
    def needed_by(**width: int) -> int:
        weights, per_image = training_memory(arch, arguments | width, image_shape)
        return weights + batch_size * per_image

    needed = needed_by()
    if needed <= available:
        return
    # The estimate is from below: sizes are advised whose estimate is half of what is available.
    weights, per_image = training_memory(arch, arguments, image_shape)
    fitting_width = arguments.get("width", 0) // 2
    while fitting_width and needed_by(width=fitting_width) > available // 2:
        fitting_width //= 2
    sizes = {"batch_size": (available // 2 - weights) // per_image, "width": fitting_width}
    advice = " or ".join(f"--{flag} {size}" for flag, size in sizes.items() if size > 0)
    raise OutOfMemoryError(
        f"out of memory: training needs at least {needed / GIB:,.1f} GiB, "
        f"{available / GIB:,.1f} GiB are available; try {advice or 'another --arch'}"
    )
