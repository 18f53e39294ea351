import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from tests.helpers import counted_images
from tinkering.data.augment import random_affine
from tinkering.data.loader import ImageDataset, ImageLoader, StepSampler
from tinkering.runtime.distributed import Group


def draws(sampler, num_batches):
    """The first batches of the sampler's stream, from the step it is set to."""
    found = []
    while len(found) < num_batches:
        found += [(draw.step, draw.indices.tolist()) for draw in sampler]
    return found[:num_batches]


@given(
    num_samples=st.integers(1, 60),
    batch_size=st.integers(1, 20),
    seed=st.integers(0, 2**32 - 1),
    step=st.integers(0, 200),
)
def test_a_batch_is_a_function_of_seed_and_step(num_samples, batch_size, seed, step):
    from_the_start = draws(StepSampler(num_samples, batch_size, seed), step + 3)
    resumed = StepSampler(num_samples, batch_size, seed)
    resumed.set_step(step)
    assert draws(resumed, 3) == from_the_start[step:]


@given(num_samples=st.integers(1, 60), batch_size=st.integers(1, 20), seed=st.none() | st.just(3))
def test_every_pass_has_every_sample_once(num_samples, batch_size, seed):
    sampler = StepSampler(num_samples, batch_size, seed)
    for _ in range(3):
        batches = [indices for _, indices, *_ in sampler]
        assert len(batches) == len(sampler)
        assert sorted(torch.cat(batches).tolist()) == list(range(num_samples))


@given(num_samples=st.integers(1, 60), batch_size=st.integers(1, 20), step=st.integers(0, 99))
def test_samples_drawn_are_counted_with_short_batches_as_short(num_samples, batch_size, step):
    sampler = StepSampler(num_samples, batch_size, seed=0)
    drawn = sum(len(indices) for _, indices, *_ in draws(sampler, step))
    assert sampler.num_samples_before(step) == drawn


def test_passes_and_seeds_are_shuffled_differently():
    sampler = StepSampler(100, 100, seed=0)
    first, second = (draw.indices.tolist() for _ in range(2) for draw in sampler)
    (other,) = (draw.indices.tolist() for draw in StepSampler(100, 100, seed=1))
    assert first != second
    assert first != other
    assert first != list(range(100))


def test_seeds_far_apart_differ_too():
    """torch's own CPU generator looks at the low 32 bits of a seed only."""
    (low,) = (draw.indices.tolist() for draw in StepSampler(100, 100, seed=1))
    (high,) = (draw.indices.tolist() for draw in StepSampler(100, 100, seed=1 + 2**32))
    assert low != high


def test_without_a_seed_the_order_is_the_files_at_every_pass():
    loader = ImageLoader(counted_images(), batch_size=8)
    for _ in range(2):
        assert torch.cat([labels for _, labels in loader]).tolist() == list(range(50))


def test_a_loader_gives_normalised_floats_and_the_labels_that_belong_to_them():
    data = counted_images()
    for images, labels in ImageLoader(data, batch_size=16, seed=5):
        expected = (data.images[labels].float() / 255 - 0.25) / 0.5
        assert images.dtype == torch.float32
        assert images.is_contiguous()
        torch.testing.assert_close(images, expected.unsqueeze(1))


def test_transposed_images_come_out_transposed():
    data = counted_images()
    turned = ImageDataset(data.images.transpose(1, 2), data.labels, 0.25, 0.5)
    (images, _), (expected, _) = (next(iter(ImageLoader(d, 50))) for d in (turned, data))
    assert images.is_contiguous()
    assert torch.equal(images, expected.transpose(2, 3))


def test_a_subset_gives_out_its_own_samples_only():
    part = counted_images().select(torch.tensor([3, 30, 31]))
    assert len(part) == 3
    assert torch.cat([labels for _, labels in ImageLoader(part, 2)]).tolist() == [3, 30, 31]


def test_one_sample_is_had_by_its_index():
    data = counted_images()
    image, label = data[7]
    assert image.shape == (1, 6, 6)
    assert label == 7
    torch.testing.assert_close(image[0], (data.images[7].float() / 255 - 0.25) / 0.5)
    assert data[-1][1] == 49
    with pytest.raises(IndexError):
        data[50]


def test_any_other_loader_can_draw_from_the_data_too():
    data = counted_images()
    images, labels = next(iter(DataLoader(data, batch_size=3)))
    assert labels.tolist() == [0, 1, 2]
    assert torch.equal(images[2], data[2][0])


def test_the_global_random_state_is_left_alone():
    state = torch.get_rng_state()
    for _ in ImageLoader(counted_images(augment=random_affine), batch_size=8, seed=0):
        pass
    assert torch.equal(state, torch.get_rng_state())


def test_augmented_batches_are_a_function_of_seed_and_step_too():
    def batch(seed, step):
        loader = ImageLoader(counted_images(augment=random_affine, seed=seed), 50, seed=0)
        loader.batch_sampler.set_step(step)
        images, labels = next(iter(loader))
        return images[labels.argsort()]

    assert torch.equal(batch(0, 3), batch(0, 3))
    assert not torch.equal(batch(0, 3), batch(0, 4))
    assert not torch.equal(batch(0, 3), batch(1, 3))


def test_the_data_are_not_changed_by_drawing_them():
    data = counted_images(augment=random_affine)
    before = data.images.clone()
    for _ in ImageLoader(data, 8, seed=0):
        pass
    assert torch.equal(data.images, before)


def test_images_on_a_device_give_the_same_batches():
    """The device is the CPU here; what is moved is the same for each."""
    here = counted_images(20, augment=random_affine, subset=torch.arange(3, 17))
    for batch, expected in zip(
        ImageLoader(here.to("cpu"), 4, 0), ImageLoader(here, 4, 0), strict=True
    ):
        torch.testing.assert_close(batch, expected, rtol=0, atol=0)


def test_equal_data_have_equal_fingerprints_wherever_they_are():
    data = counted_images(augment=random_affine)
    assert data.fingerprint() == counted_images(seed=1).to("cpu").fingerprint()


@pytest.mark.parametrize(
    "change",
    {
        "a label": lambda data: data.labels[3:5].add_(1),
        "a pixel": lambda data: data.images[3, 2, 1].add_(1),
        "the normalisation": lambda data: setattr(data, "mean", 0.5),
        "fewer images": lambda data: setattr(data, "subset", torch.arange(49)),
        "another order": lambda data: setattr(data, "subset", torch.arange(50).flip(0)),
    }.items(),
    ids=lambda item: item[0],
)
def test_other_data_have_another_fingerprint(change):
    data = counted_images()
    change[1](data)
    assert data.fingerprint() != counted_images().fingerprint()


def test_the_fingerprint_of_a_subset_is_of_its_own_samples():
    few = torch.tensor([3, 30, 31])
    changed = counted_images()
    changed.images[4] += 1
    assert changed.select(few).fingerprint() == counted_images().select(few).fingerprint()
    changed.images[30] += 1
    assert changed.select(few).fingerprint() != counted_images().select(few).fingerprint()


@pytest.mark.parametrize(
    ("num_samples", "per_step", "micro_batch", "world_size", "expected"),
    [
        (128, 64, 64, 1, {64}),
        (129, 64, 64, 1, {64, 1}),
        (100, 64, 16, 1, {16, 4}),
        (33, 32, 16, 2, {16, 1}),  # of the last image one process has all
        (40, 10**19, 10**19, 1, {40}),
    ],
)
def test_the_sizes_of_all_batches_of_a_pass_are_known_before(
    num_samples, per_step, micro_batch, world_size, expected
):
    group = Group(world_size=world_size)
    loader = ImageLoader(counted_images(num_samples), per_step, group=group)
    assert loader.micro_batch_sizes(micro_batch) == expected
