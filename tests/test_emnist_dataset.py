"""The public door of the data: what it returns, and what it refuses before any training."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from tests.helpers import EMNIST_NUM_CLASSES, random_part, write_emnist, write_part
from tinkering.emnist_dataset import get_emnist_dataloaders, load_datasets
from tinkering.errors import DataError, InputError


@pytest.mark.parametrize("split", EMNIST_NUM_CLASSES)
def test_each_split_of_emnist_is_read_from_its_files(tmp_path, split):
    write_emnist(tmp_path / "EMNIST" / "raw", split)
    train, test, num_classes, class_to_idx = get_emnist_dataloaders(tmp_path, 16, 0, split)
    assert isinstance(train, DataLoader)
    assert isinstance(test, DataLoader)
    assert num_classes == EMNIST_NUM_CLASSES[split]
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


def test_the_users_home_is_written_as_a_tilde(mnist_dir, monkeypatch):
    monkeypatch.setenv("HOME", str(mnist_dir.parent))
    monkeypatch.setenv("USERPROFILE", str(mnist_dir.parent))
    train_set, *_ = load_datasets("mnist", "~/data")
    assert len(train_set) == 300


def test_training_and_test_images_of_different_sizes_are_refused(mnist_dir):
    images, labels = random_part(300, 10)
    wide = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    write_part(mnist_dir / "MNIST" / "raw", "train", wide, labels)
    message = "32x32 pixels in the training file, 28x28 in the test file"
    with pytest.raises(DataError, match=message):
        load_datasets("mnist", mnist_dir)


def test_images_that_are_all_black_are_refused(mnist_dir):
    images, labels = random_part(300, 10)
    write_part(mnist_dir / "MNIST" / "raw", "train", 0 * images, labels)
    with pytest.raises(DataError, match="every pixel is 0"):
        load_datasets("mnist", mnist_dir)


def test_one_changed_pixel_of_the_training_file_changes_the_fingerprint(mnist_dir):
    images, labels = random_part(300, 10)
    before = load_datasets("mnist", mnist_dir)[0].fingerprint()
    assert load_datasets("mnist", mnist_dir)[0].fingerprint() == before
    images[123, 4, 5] ^= 1
    write_part(mnist_dir / "MNIST" / "raw", "train", images, labels, packed=False)
    assert load_datasets("mnist", mnist_dir)[0].fingerprint() != before
