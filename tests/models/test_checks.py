"""What a run cannot be trained with is refused before the network is built."""

import pytest
import torch

from tinkering.errors import InputError, OutOfMemoryError
from tinkering.models import ARCHITECTURES, arguments_of
from tinkering.models.checks import check_network, training_memory

GIB = 2**30


def check(arch, height=28, width=28, batch_sizes=(64,), channels=64, available=None):
    image_shape = (1, height, width)
    arguments = arguments_of(arch, 62, image_shape, channels)
    check_network(arch, arguments, image_shape, batch_sizes, available)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_network_accepts_the_usual_images_and_a_last_batch_of_one(arch):
    random_state = torch.get_rng_state()
    check(arch, batch_sizes={64, 1})
    assert torch.equal(random_state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("arch", "height", "width"),
    [(arch, 27, 29) for arch in ("mlp", "fcn", "convnet", "lenet5")]
    + [(arch, 8, 8) for arch in ("lenet5", "stridenet")],
)
def test_images_that_a_network_cannot_accept_are_refused_in_one_line(arch, height, width):
    expected = f"--arch {arch} does not accept images of {height} x {width} pixels .*preact20"
    with pytest.raises(InputError, match=expected) as caught:
        check(arch, height, width)
    assert "\n" not in str(caught.value)


def test_a_batch_of_one_is_refused_where_batchnorm_sees_a_single_value():
    """Images of 8 x 8 pixels are a single pixel in the last stage."""
    check("resnet4stage", 8, 8, batch_sizes={64, 2})
    with pytest.raises(InputError, match=r"a single image, .* change --batch_size or --train_sub"):
        check("resnet4stage", 8, 8, batch_sizes={64, 1})


@pytest.mark.parametrize(
    ("sizes", "advice"),
    [
        ({"channels": 4096}, r"try --width \d+"),  # no batch is small enough for such weights
        ({"batch_sizes": {10_000, 16}}, r"try --batch_size \d+ or --width \d+"),
        ({"batch_sizes": {10**19}}, r"try --batch_size \d+"),
        ({"channels": 1 << 14, "batch_sizes": {10**19}}, "try another --arch"),
    ],
)
def test_a_run_that_cannot_fit_into_memory_is_refused_with_sizes_that_would(sizes, advice):
    expected = f"needs at least [0-9,.]+ GiB, 8.0 GiB are available; {advice}$"
    with pytest.raises(OutOfMemoryError, match=expected):
        check("resnet4stage", available=8 * GIB, **sizes)


@pytest.mark.parametrize("available", [None, 10**15])
def test_a_large_network_is_not_refused_where_it_may_fit(available):
    check("resnet4stage", channels=4096, available=available)


def test_the_estimate_counts_weights_and_the_activations_kept_for_the_backward_pass():
    arguments = arguments_of("mlp", 10, (1, 28, 28), width=100)
    weights = 785 * 100 + 101 * 10
    activations = 784 + 100  # the input of each layer; the ReLU keeps what the next one does
    copies, bytes_per_activation = 4, 2
    found = training_memory("mlp", arguments, (1, 28, 28))
    assert found == (4 * copies * weights, bytes_per_activation * activations)
