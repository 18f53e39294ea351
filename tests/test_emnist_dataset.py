from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from tests.conftest import idx_bytes, random_part, write_part
from tinkering import emnist_dataset
from tinkering.emnist_dataset import (
    get_emnist_dataloaders,
    hold_out_validation,
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


def loaders(tmp_path, num_train=100, num_test=30, **kwargs):
    write_emnist(tmp_path, "digits", num_train, num_test)
    return get_emnist_dataloaders(tmp_path, 8, emnist_split="digits", **kwargs)[:2]


def held_out(tmp_path, val_size="auto", **kwargs):
    train, val = hold_out_validation(*loaders(tmp_path, **kwargs), val_size)
    return train.dataset.subset.tolist(), val.dataset.subset.tolist()


@pytest.mark.parametrize(("num_test", "expected"), [(30, 10), (7, 7)])
def test_as_many_are_held_out_as_are_tested_but_at_most_a_tenth(tmp_path, num_test, expected):
    train, val = held_out(tmp_path, num_test=num_test)
    assert len(val) == expected
    assert sorted(train + val) == list(range(100))


def test_of_very_few_images_one_is_held_out_all_the_same(tmp_path):
    train, val = held_out(tmp_path, num_train=5)
    assert (len(train), len(val)) == (4, 1)


def test_the_validation_images_are_the_same_for_every_seed(tmp_path):
    assert held_out(tmp_path, seed=0) == held_out(tmp_path, seed=1)


def test_validation_images_are_neither_shuffled_nor_augmented(tmp_path):
    train, val = hold_out_validation(*loaders(tmp_path, augment="affine"), 10)
    assert train.dataset.augment is not None
    assert val.dataset.augment is None
    assert val.batch_sampler.seed is None
    assert train.batch_sampler.seed == 0
    whole_file = loaders(tmp_path)[0].dataset
    expected = torch.stack([whole_file[i][0] for i in val.dataset.subset.tolist()])
    torch.testing.assert_close(torch.cat([images for images, _ in val]), expected)


def test_nothing_held_out_means_validating_on_the_test_set(tmp_path):
    train, test = loaders(tmp_path)
    assert hold_out_validation(train, test, 0) == (train, test)


@pytest.mark.parametrize("val_size", [100, 101])
def test_holding_out_everything_is_refused(tmp_path, val_size):
    with pytest.raises(InputError, match="leaves nothing to train on"):
        held_out(tmp_path, val_size)


@pytest.fixture
def few_glyphs(monkeypatch):
    monkeypatch.setattr(emnist_dataset, "NUM_GLYPHS", {"train": 300, "test": 100})


@pytest.mark.parametrize("split", NUM_CLASSES)
def test_glyphs_have_the_classes_of_any_split(tmp_path, few_glyphs, split):
    train, test, num_classes, _ = get_emnist_dataloaders(
        tmp_path, dataset="glyphs", emnist_split=split
    )
    assert num_classes == NUM_CLASSES[split]
    assert set(train.dataset.labels.tolist()) == set(range(num_classes))
    assert not torch.equal(train.dataset.images[:100], test.dataset.images)


def test_glyphs_are_drawn_once_and_then_read_from_the_cache(tmp_path, few_glyphs, monkeypatch):
    first, labels, _ = load_images("glyphs", tmp_path, "letters", "train")
    monkeypatch.setattr(emnist_dataset, "draw_glyphs", None)
    again, labels_again, _ = load_images("glyphs", tmp_path, "letters", "train")
    assert torch.equal(first, again)
    assert torch.equal(labels, labels_again)


def test_a_class_of_both_cases_is_drawn_in_both(tmp_path, few_glyphs, monkeypatch):
    drawn = []

    def note(characters, seed):
        drawn.extend(characters)
        return torch.zeros(len(characters), 28, 28, dtype=torch.uint8)

    monkeypatch.setattr(emnist_dataset, "draw_glyphs", note)
    load_images("glyphs", tmp_path, "balanced", "train")
    assert {"c", "C", "a", "A", "o", "O"} <= set(drawn)
    drawn.clear()
    load_images("glyphs", tmp_path, "digits", "train")
    assert set(drawn) == set("0123456789")


def test_the_loaders_have_a_length_and_start_no_workers_for_what_is_in_memory(tmp_path):
    train, test = loaders(tmp_path)
    assert len(train) == 13
    assert len(test) == 4
    assert train.num_workers == 0
