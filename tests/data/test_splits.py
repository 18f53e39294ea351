"""Which images are trained on, validated on and tested on."""

import pytest
import torch

from tests.data.test_loader import dataset
from tinkering.data import splits as parts
from tinkering.data.loader import make_loader
from tinkering.data.splits import hold_out_validation
from tinkering.errors import InputError


def loaders(num_train=100, num_test=30, seed=0, augment=None):
    """Whose images are told apart by their labels."""
    train = make_loader(dataset(num_train, augment=augment), 8, seed)
    return train, make_loader(dataset(num_test), 8)


def labels_of(loader):
    return torch.cat([labels for _, labels in loader]).tolist()


def held_out(val_size="auto", **kwargs):
    train, val = hold_out_validation(*loaders(**kwargs), val_size)
    return sorted(labels_of(train)), labels_of(val)


@pytest.mark.parametrize(("num_test", "expected"), [(30, 10), (7, 7)])
def test_as_many_are_held_out_as_are_tested_but_at_most_a_tenth(num_test, expected):
    train, val = held_out(num_test=num_test)
    assert len(val) == expected
    assert sorted(train + val) == list(range(100))


def test_of_very_few_images_one_is_held_out_all_the_same():
    train, val = held_out(num_train=5)
    assert (len(train), len(val)) == (4, 1)


def test_the_validation_images_are_the_same_for_every_seed():
    assert held_out(seed=0) == held_out(seed=1)


def test_validation_images_are_neither_shuffled_nor_augmented():
    def black(images, _rng):
        return images.zero_()

    train, val = hold_out_validation(*loaders(augment=black), 10)
    whole_file = loaders()[0].dataset
    expected = torch.stack([whole_file[index][0] for index in sorted(labels_of(val))])
    torch.testing.assert_close(torch.cat([images for images, _ in val]), expected)
    assert len(torch.cat([images for images, _ in train]).unique()) == 1
    assert labels_of(train) != sorted(labels_of(train))


def test_nothing_held_out_means_validating_on_the_test_set():
    train, test = loaders()
    assert hold_out_validation(train, test, 0) == (train, test)


@pytest.mark.parametrize("val_size", [100, 101])
def test_holding_out_everything_is_refused(val_size):
    with pytest.raises(InputError, match="leaves nothing to train on"):
        held_out(val_size)


def test_a_subset_has_some_of_the_images_that_are_left_for_every_seed_the_same():
    chosen = []
    for seed in (0, 1):
        train, val, test = parts.choose(*loaders(seed=seed), 10, train_subset=20, test_subset=5)
        assert (len(train.dataset), len(val.dataset), len(test.dataset)) == (20, 10, 5)
        assert not set(labels_of(train)) & set(labels_of(val))
        chosen.append((sorted(labels_of(train)), labels_of(test)))
    assert chosen[0] == chosen[1]


def test_a_subset_of_a_shuffled_part_is_shuffled_anew_each_pass():
    train, _, _ = parts.choose(*loaders(), train_subset=20)
    first, second = labels_of(train), labels_of(train)
    assert first != second
    assert sorted(first) == sorted(second)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"train_subset": 91}, "--train_subset 91: there are 90 images to choose from"),
        ({"test_subset": 31}, "--test_subset 31: there are 30 images to choose from"),
    ],
)
def test_a_subset_larger_than_what_there_is_is_refused(kwargs, message):
    with pytest.raises(InputError, match=message):
        parts.choose(*loaders(), **kwargs)


def test_one_batch_to_overfit_is_all_that_is_trained_on_and_scored():
    train, val, test = parts.choose(*loaders(), overfit_one_batch=True)
    assert len(train) == 1
    assert sorted(labels_of(train)) == sorted(labels_of(val)) == sorted(labels_of(test))
    assert sorted(labels_of(train)) == sorted(labels_of(train))
    first_of_the_run = parts.choose(*loaders())[0].batch_sampler.indices_at(0)
    whole = parts.choose(*loaders())[0].dataset
    assert sorted(labels_of(train)) == sorted(whole.labels[whole.places(first_of_the_run)].tolist())


@pytest.mark.parametrize(
    ("num_epochs", "grad_accum_steps", "expected"),
    [(1, 1, 12), (2.5, 1, 30), (2, 4, 6), (0.01, 1, 1)],
)
def test_epochs_are_counted_in_optimizer_steps(num_epochs, grad_accum_steps, expected):
    train, _, _ = parts.choose(*loaders(), grad_accum_steps=grad_accum_steps)
    assert parts.num_steps(train, num_epochs) == expected


def test_a_step_of_several_batches_draws_them_all_at_once_for_training_alone():
    train, val, test = parts.choose(*loaders(), grad_accum_steps=3)
    sizes = [len(next(iter(loader))[1]) for loader in (train, val, test)]
    assert sizes == [24, 8, 8]
