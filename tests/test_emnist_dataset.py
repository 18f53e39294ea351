from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from tests.helpers import idx_bytes, random_part, write_part
from tinkering.emnist_dataset import (
    get_emnist_dataloaders,
    load_images,
    pixel_statistics,
)
from tinkering.errors import DataError, InputError

SHARED = Path(__file__).parent.parent.parent / "shared" / "data"
NUM_CLASSES = {
    "byclass": 62,
    "bymerge": 47,
    "balanced": 47,
    "letters": 26,
    "digits": 10,
    "mnist": 10,
}


def write_emnist(folder, split, num_train=140, num_test=130, packed=True):
    """A split as NIST's files have it: lying on its side, letters counted from 1."""
    first = 1 if split == "letters" else 0
    for part, num_images, seed in (("train", num_train, 0), ("test", num_test, 1)):
        images, labels = random_part(num_images, NUM_CLASSES[split], seed, first)
        prefix = f"emnist-{split}-{part}"
        write_part(folder, prefix, images.transpose(0, 2, 1), labels, packed)


@pytest.mark.parametrize("split", NUM_CLASSES)
def test_each_split_of_emnist_is_read_from_its_files(tmp_path, split):
    write_emnist(tmp_path / "EMNIST" / "raw", split)
    train, test, num_classes, class_to_idx = get_emnist_dataloaders(tmp_path, 16, 0, split)
    assert isinstance(train, DataLoader)
    assert isinstance(test, DataLoader)
    assert num_classes == NUM_CLASSES[split]
    assert list(class_to_idx.values()) == list(range(num_classes))
    labels = torch.cat([labels for _, labels in test])
    assert labels.tolist() == [index % num_classes for index in range(130)]
    assert sorted(torch.cat([y for _, y in train]).tolist()) == sorted(
        index % num_classes for index in range(140)
    )


@pytest.mark.parametrize(
    ("split", "character", "label"),
    [
        *[("byclass", "0", 0), ("byclass", "A", 10), ("byclass", "a", 36), ("byclass", "z", 61)],
        *[("balanced", "a", 36), ("balanced", "t", 46), ("letters", "a", 0), ("letters", "z", 25)],
    ],
)
def test_class_to_idx_goes_from_the_character_to_its_label(tmp_path, split, character, label):
    write_emnist(tmp_path, split)
    assert get_emnist_dataloaders(tmp_path, emnist_split=split)[3][character] == label


def test_counts_of_images_and_labels_that_differ_are_refused(tmp_path):
    write_part(tmp_path, "train", random_part(20, 10)[0], random_part(19, 10)[1])
    with pytest.raises(DataError, match="20 images, 19 labels"):
        load_images("mnist", tmp_path, "byclass", "train")


@pytest.mark.parametrize(("split", "label"), [("digits", 10), ("letters", 0), ("letters", 27)])
def test_labels_out_of_range_are_refused(tmp_path, split, label):
    images, labels = random_part(20, 10, first_label=1 if split == "letters" else 0)
    labels[7] = label
    write_part(tmp_path, f"emnist-{split}-train", images, labels)
    with pytest.raises(DataError, match="labels from"):
        load_images("emnist", tmp_path, split, "train")


def test_labels_in_place_of_images_are_refused(tmp_path):
    labels = idx_bytes(np.zeros(20))
    for kind in ("images-idx3", "labels-idx1"):
        (tmp_path / f"train-{kind}-ubyte").write_bytes(labels)
    with pytest.raises(DataError, match="not images and labels"):
        load_images("mnist", tmp_path, "byclass", "train")


@pytest.mark.parametrize(
    "wrong", [{"dataset": "cifar"}, {"emnist_split": "byletter"}, {"augment": "flip"}]
)
def test_names_that_do_not_exist_are_refused_with_those_that_do(tmp_path, wrong):
    with pytest.raises(InputError, match="there are"):
        get_emnist_dataloaders(tmp_path, **wrong)


def test_statistics_are_those_of_the_training_pixels(tmp_path):
    write_emnist(tmp_path, "digits")
    train, test, *_ = get_emnist_dataloaders(tmp_path, emnist_split="digits")
    pixels = random_part(140, 10)[0] / 255
    assert train.dataset.mean == test.dataset.mean == pytest.approx(pixels.mean())
    assert train.dataset.std == test.dataset.std == pytest.approx(pixels.std())


@pytest.mark.skipif(not SHARED.exists(), reason="no real MNIST beside this checkout")
def test_the_real_mnist_has_the_statistics_that_the_field_knows(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in (SHARED / "MNIST" / "raw").iterdir():
        (raw / file.name).symlink_to(file)
    images, labels, _ = load_images("mnist", tmp_path, "byclass", "train")
    assert len(labels) == 60_000
    assert pixel_statistics(images) == pytest.approx((0.1307, 0.3081), abs=5e-5)
