import numpy as np
import torch

from tinkering.data.augment import ROTATION, SCALE, SHIFT, random_affine


def draws(
    num_images=1, rotation=0.0, shear=0.0, scale_x=0.0, scale_y=0.0, shift_x=0.0, shift_y=0.0
):
    """The numbers drawn, for every image the same."""
    row = torch.tensor([rotation, shear, scale_x, scale_y, shift_x, shift_y])
    return row.repeat(num_images, 1)


def chance(num_images):
    return 2 * torch.rand(num_images, 6, generator=torch.Generator().manual_seed(0)) - 1


def dot(row, column):
    images = torch.zeros(1, 1, 28, 28)
    images[0, 0, row, column] = 255.0
    return images


def place(images):
    """Row and column of the middle of what is bright, in pixels."""
    weights = images[0, 0] / images[0, 0].sum()
    pixels = torch.arange(28.0)
    return (weights.sum(1) @ pixels).item(), (weights.sum(0) @ pixels).item()


def test_a_draw_of_nothing_changes_nothing():
    images = torch.rand(3, 1, 28, 28) * 255
    torch.testing.assert_close(random_affine(images, draws(3)), images, atol=1e-3, rtol=0)


def test_shifts_are_whole_pixels_where_the_draw_says_so():
    shifted = random_affine(dot(10, 10), draws(shift_x=1.0, shift_y=-0.5))
    row, column = place(shifted)
    assert (round(row, 3), round(column, 3)) == (10 + SHIFT / 2, 10 - SHIFT)


def test_rotation_is_about_the_middle_by_its_angle():
    row, column = place(random_affine(dot(13, 23), draws(rotation=1.0)))
    turned = np.degrees(np.arctan2(row - 13.5, column - 13.5) - np.arctan2(-0.5, 9.5))
    assert abs(abs(turned) - ROTATION) < 1


def test_scale_is_along_each_axis_by_itself():
    row, column = place(random_affine(dot(23, 23), draws(scale_x=1.0)))
    assert abs(column - (13.5 + 9.5 / (1 + SCALE))) < 0.3
    assert abs(row - 23) < 0.1


def test_shear_moves_rows_sideways_and_keeps_them_rows():
    row, column = place(random_affine(dot(23, 13), draws(shear=1.0)))
    assert abs(row - 23) < 0.1
    assert abs(column - 13) > 1


def test_each_sample_has_a_draw_of_its_own():
    images = dot(8, 8).repeat(16, 1, 1, 1)
    changed = random_affine(images, chance(len(images)))
    assert len({place(image[None]) for image in changed}) == 16


def test_shape_type_and_range_stay():
    images = torch.rand(5, 1, 28, 28) * 255
    changed = random_affine(images, chance(len(images)))
    assert changed.shape == images.shape
    assert changed.dtype == torch.float32
    assert changed.min() >= 0
    assert changed.max() <= 255.001
