"""Random augmentation of a whole batch of training images."""

import torch
from torch import Tensor
from torch.nn import functional

ROTATION = 12  # degrees, either way
SHEAR = 12  # degrees, either way
SCALE = 0.15  # either way of 1
SHIFT = 2  # pixels, either way


def random_affine(images: Tensor, numbers: Tensor) -> Tensor:
    """Rotate, shear, scale and shift each image, with bilinear interpolation and a black border.

    The ranges above keep EMNIST's characters, which have a margin of two pixels, inside the
    image but for the end of a stroke now and then.

    Args:
        images: float (N, C, H, W), square, black being 0.
        numbers: float32 (N, 6), uniform in -1..1, the ends of the ranges above.

    Returns:
        the same shape and dtype.
    """
    rotation, shear, scale_x, scale_y, shift_x, shift_y = numbers.T
    rotation = torch.deg2rad(ROTATION * rotation)
    shear = torch.tan(torch.deg2rad(SHEAR * shear))
    cos, sin = rotation.cos(), rotation.sin()
    # affine_grid maps each pixel of the result to its place in the source, in units of half the
    # image's side: shift + rotation @ shearing @ scaling.
    scale_x, scale_y = 1 + SCALE * scale_x, 1 + SCALE * scale_y
    shift = 2 * SHIFT / images.shape[-1]
    x_row = [cos * scale_x, (cos * shear - sin) * scale_y, shift * shift_x]
    y_row = [sin * scale_x, (sin * shear + cos) * scale_y, shift * shift_y]
    matrix = torch.stack(x_row + y_row, dim=1).view(-1, 2, 3)  # (N, 2, 3)
    matrix = matrix.to(images.device, non_blocking=True)
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


AUGMENTATIONS = {"none": None, "affine": random_affine}
