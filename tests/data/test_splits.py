"""Training, validation and test part of a data set."""

import pytest
import torch

from tests.helpers import counted_images
from tinkering.data.loader import ImageLoader, make_loaders
from tinkering.data.splits import make_splits
from tinkering.errors import InputError


def split(num_train=100, num_test=30, augment=None, **kwargs):
    """The three parts of a data set in which every image has a label of its own."""
    train_set = counted_images(num_train, augment=augment)
    return make_splits(train_set, counted_images(num_test), **kwargs)


def labels_of(dataset):
    return [int(dataset[index][1]) for index in range(len(dataset))]


@pytest.mark.parametrize(("num_test", "expected"), [(30, 10), (7, 7)])
def test_validation_has_as_many_images_as_the_test_set_but_at_most_a_tenth(num_test, expected):
    train, val, _ = split(num_test=num_test)
    assert len(val) == expected
    assert sorted(labels_of(train) + labels_of(val)) == list(range(100))


def test_of_very_few_images_one_is_held_out():
    train, val, _ = split(num_train=5)
    assert (len(train), len(val)) == (4, 1)


def test_validation_images_are_neither_shuffled_nor_augmented():
    def black(images, _numbers):
        return images.zero_()

    loaders = make_loaders(*split(augment=black, val_size=10), batch_size=8)
    train, val = (
        [torch.cat(batches) for batches in zip(*loader, strict=True)] for loader in loaders[:2]
    )
    whole_file = counted_images(100)
    expected = torch.stack([whole_file[index][0] for index in val[1].sort().values.tolist()])
    torch.testing.assert_close(val[0], expected)
    assert len(train[0].unique()) == 1
    assert train[1].tolist() != sorted(train[1].tolist())


def test_without_validation_images_the_test_set_is_validated_on():
    train, val, test = split(val_size=0)
    assert val is test
    assert len(train) == 100


@pytest.mark.parametrize("val_size", [100, 101])
def test_holding_out_every_image_is_refused(val_size):
    with pytest.raises(InputError, match="leaves nothing to train on"):
        split(val_size=val_size)


def test_a_subset_is_chosen_from_the_images_that_validation_leaves():
    train, val, test = split(val_size=10, train_subset=20, test_subset=5)
    assert (len(train), len(val), len(test)) == (20, 10, 5)
    assert not set(labels_of(train)) & set(labels_of(val))


def test_a_subset_is_shuffled_anew_at_each_pass():
    loader = ImageLoader(split(train_subset=20)[0], 8, seed=0)
    first, second = (torch.cat([labels for _, labels in loader]).tolist() for _ in range(2))
    assert first != second
    assert sorted(first) == sorted(second)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"train_subset": 91}, "--train_subset 91: there are 90 images to choose from"),
        ({"test_subset": 31}, "--test_subset 31: there are 30 images to choose from"),
    ],
)
def test_a_subset_larger_than_its_part_is_refused(kwargs, message):
    with pytest.raises(InputError, match=message):
        split(**kwargs)


def test_overfitting_trains_and_scores_on_the_same_few_training_images():
    train, val, test = split(overfit_images=8)
    assert labels_of(train) == labels_of(val) == labels_of(test)
    assert len(train) == 8
    assert set(labels_of(train)) <= set(labels_of(split()[0]))


def test_a_step_draws_the_images_of_all_its_micro_batches_at_once():
    loaders = make_loaders(*split(), batch_size=8, grad_accum_steps=3)
    assert [len(next(iter(loader))[1]) for loader in loaders] == [24, 8, 8]
