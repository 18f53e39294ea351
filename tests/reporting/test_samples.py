import time

import numpy as np
import pytest
import torch
from PIL import Image

from tinkering.data.loader import ImageDataset
from tinkering.reporting.samples import contact_sheet, draw_samples

FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat")
FASHION += ("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
LETTERS = "abcdefghijklmnopqrstuvwxyz"  # too many classes for the sheet to be enlarged


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def images_on(path, num_classes):
    """The images on a sheet: uint8 (12, num_classes, 28, 28)."""
    below_names = pixels(path)[-12 * 28 :]
    return below_names.reshape(12, 28, num_classes, 28).swapaxes(1, 2)


def test_a_contact_sheet_shows_every_image_in_the_column_of_its_class(tmp_path):
    images = np.zeros((4, 28, 28), np.uint8)
    images[2] = 255
    contact_sheet(images, np.array([0, 1, 1, 0]), LETTERS, tmp_path / "sheet.png")
    drawn = images_on(tmp_path / "sheet.png", 26)
    assert (drawn[1, 1] == 255).all()  # the second image of the second class
    assert drawn.sum() == 255 * 28 * 28


@pytest.mark.parametrize("copies", [1, 3])
def test_names_on_a_contact_sheet_keep_apart_however_long_they_are(tmp_path, copies):
    classes = [name * copies for name in FASHION]
    images, labels = np.zeros((10, 28, 28), np.uint8), np.arange(10)
    contact_sheet(images, labels, classes, tmp_path / "sheet.png")
    names = pixels(tmp_path / "sheet.png")[: -12 * 3 * 28]  # few classes are enlarged
    edges = np.concatenate([names[:, :: 3 * 28], names[:, 3 * 28 - 1 :: 3 * 28]], axis=1)
    assert (edges > 200).all()
    assert all((column < 100).any() for column in np.split(names, 10, axis=1))


def test_a_contact_sheet_of_very_many_images_is_drawn_at_once(tmp_path):
    images, labels = np.zeros((300_000, 28, 28), np.uint8), np.arange(300_000) % 62
    start = time.process_time()
    contact_sheet(images, labels, [str(label) for label in range(62)], tmp_path / "sheet.png")
    assert time.process_time() - start < 1


class Halved:
    """An augmentation that notes how many images it has augmented."""

    num_images = 0

    def __call__(self, images, numbers):
        self.num_images += len(images)
        return images * (0.5 + numbers[:, :1, None, None] / 4)


def dataset(num_images, **about):
    """Images of 26 classes in turn; all pixels of an image are its index modulo 256."""
    values = torch.arange(num_images, dtype=torch.uint8)
    images = values.view(-1, 1, 1).expand(-1, 28, 28)
    return ImageDataset(images, torch.arange(num_images) % 26, mean=0.2, std=0.3, **about)


def test_samples_are_the_first_images_of_each_class(tmp_path):
    draw_samples(dataset(26 * 20), LETTERS, tmp_path / "samples.png")
    drawn = images_on(tmp_path / "samples.png", 26)
    assert (drawn == (np.arange(12 * 26) % 256).reshape(12, 26, 1, 1)).all()


def test_samples_are_of_the_images_to_train_on_only(tmp_path):
    subset = torch.tensor([53, 30, 27])  # of the classes b, e and b
    draw_samples(dataset(100, subset=subset), LETTERS, tmp_path / "samples.png")
    drawn = images_on(tmp_path / "samples.png", 26)[:, :, 0, 0]
    assert drawn[:2, 1].tolist() == [53, 27]
    assert drawn[0, 4] == 30
    assert drawn.sum() == 53 + 27 + 30


def test_only_the_images_that_are_drawn_are_augmented(tmp_path):
    augment = Halved()
    draw_samples(dataset(26 * 1000, augment=augment), LETTERS, tmp_path / "samples.png")
    assert augment.num_images == 12 * 26


def test_each_sample_is_augmented_in_its_own_way_and_the_same_way_each_time(tmp_path):
    white = dataset(26 * 12, augment=Halved(), seed=1)
    white.images = torch.full_like(white.images, 255)
    for name in ("one", "other"):
        draw_samples(white, LETTERS, tmp_path / name)
    drawn = images_on(tmp_path / "one", 26)[:, :, 0, 0]
    assert len(np.unique(drawn)) > 100
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
