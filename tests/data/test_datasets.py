import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from tests.helpers import random_part, write_part
from tests.test_emnist_dataset import NUM_CLASSES, SHARED, write_emnist
from tinkering.data.datasets import EMNIST_CLASSES
from tinkering.emnist_dataset import get_emnist_dataloaders, load_images
from tinkering.errors import DataError
from tinkering.models.vision import torchvision


@pytest.mark.parametrize("split", NUM_CLASSES)
def test_the_classes_are_torchvisions_but_for_the_letter_that_is_none(split):
    theirs = [c for c in torchvision.datasets.EMNIST.classes_split_dict[split] if c != "N/A"]
    assert list(EMNIST_CLASSES[split]) == theirs


def test_images_come_upright(tmp_path):
    """The upright stripes of random_part lie in the files, as EMNIST is transposed there."""
    write_emnist(tmp_path, "digits")
    images, labels, _ = load_images("emnist", tmp_path, "digits", "test")
    expected, _ = random_part(130, 10, seed=1)
    assert np.array_equal(images.numpy(), expected)
    assert images[3, :, labels[3]].min() == 250


@pytest.mark.skipif(not SHARED.exists(), reason="no real handwriting beside this checkout")
@pytest.mark.parametrize(("letter", "open_below"), [("u", False), ("n", True)])
def test_real_letters_are_upright_too(tmp_path, letter, open_below):
    """A u is open above and an n below; lying on their sides both would be open sideways."""
    label = ord(letter) - ord("a")
    (path,) = (SHARED / "emnist_letters_26").glob(f"*label{label}.png")
    pixels = np.array(Image.open(path))[None]
    write_part(tmp_path, "emnist-letters-train", pixels, np.array([label + 1]))
    images, labels, classes = load_images("emnist", tmp_path, "letters", "train")
    above, below = (images[0, rows, 11:17].float().mean() for rows in (slice(14), slice(14, 28)))
    assert classes[labels[0]] == letter
    assert (above > 2 * below) if open_below else (below > 2 * above)


@pytest.mark.parametrize(
    "place", ["EMNIST/raw", "EMNIST/raw/gzip", "EMNIST", "EMNIST/gzip", ".", "gzip"]
)
@pytest.mark.parametrize("packed", [True, False])
def test_files_are_found_wherever_torchvision_or_unpacking_leaves_them(tmp_path, place, packed):
    write_emnist(tmp_path / place, "digits", packed=packed)
    train, *_ = get_emnist_dataloaders(tmp_path, emnist_split="digits")
    assert len(train.dataset) == 140


@pytest.mark.parametrize("place", ["EMNIST/raw", "EMNIST", "."])
def test_nists_archive_is_found_and_only_the_split_asked_for_is_unpacked(tmp_path, place):
    write_emnist(tmp_path / "packed", "digits")
    write_emnist(tmp_path / "packed", "letters")
    folder = tmp_path / "data" / place
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "gzip.zip", "w") as archive:
        for file in (tmp_path / "packed").iterdir():
            archive.write(file, f"gzip/{file.name}")
    train, *_ = get_emnist_dataloaders(tmp_path / "data", emnist_split="letters")
    assert len(train.dataset) == 140
    assert len(os.listdir(folder)) == 5
    assert all(name == "gzip.zip" or "letters" in name for name in os.listdir(folder))


@pytest.mark.parametrize(
    ("dataset", "folder"),
    [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST"), ("kmnist", "KMNIST")],
)
def test_the_rest_of_the_family_is_read_from_its_own_folder(tmp_path, dataset, folder):
    for part, num_images in (("train", 30), ("t10k", 20)):
        write_part(tmp_path / folder / "raw", part, *random_part(num_images, 10))
    train, test, num_classes, class_to_idx = get_emnist_dataloaders(tmp_path, dataset=dataset)
    assert (len(train.dataset), len(test.dataset), num_classes) == (30, 20, 10)
    assert len(class_to_idx) == 10
    images, _, _ = load_images(dataset, tmp_path, "byclass", "test")
    assert np.array_equal(images.numpy(), random_part(20, 10)[0])


def test_mnists_files_at_the_top_are_not_taken_for_fashion_mnist(tmp_path, monkeypatch):
    for part in ("train", "t10k"):
        write_part(tmp_path, part, *random_part(20, 10))
    assert len(get_emnist_dataloaders(tmp_path, dataset="mnist")[0].dataset) == 20
    monkeypatch.setattr(torchvision.datasets.FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(DataError, match="could not be downloaded"):
        get_emnist_dataloaders(tmp_path, dataset="fashion_mnist")
