import pytest
import torch
from torch import nn

from tinkering.errors import InputError
from tinkering.extras import import_extra
from tinkering.models import arguments_of, build
from tinkering.models.checks import check_network

ARGUMENTS = {"num_classes": 10, "in_channels": 1, "image_size": 28}
IMAGE = (1, 28, 28)

timm = import_extra("timm", "the tests")


def check(arch):
    check_network(arch, ARGUMENTS, IMAGE, [64], available=None)


@pytest.mark.parametrize(
    ("name", "image_size", "in_channels"),
    [
        ("test_resnet", 28, 1),
        ("test_resnet", 32, 3),
        ("resnet10t", 28, 1),
        ("eva02_tiny_patch14_224", 28, 1),  # of a fixed input size, as the next
        ("test_vit", 32, 3),
    ],
)
def test_a_network_of_timm_gives_logits_and_gradients(name, image_size, in_channels):
    arch = f"timm:{name}"
    image_shape = (in_channels, image_size, image_size)
    arguments = arguments_of(arch, 11, image_shape, width=8)
    assert arguments == {"num_classes": 11, "in_channels": in_channels, "image_size": image_size}
    check_network(arch, arguments, image_shape, [3], available=None)
    model = build(arch, arguments)
    logits = model(torch.randn(3, in_channels, image_size, image_size))
    assert logits.shape == (3, 11)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert sum(p.grad.abs().sum() for p in model.parameters()) > 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet10", "timm has no network 'resnet10'; the nearest: resnet10t, "),
        ("resnet10t.c3_in1k", "the nearest: resnet10t, "),  # a name of weights
        ("hf-hub:timm/resnet10t", "timm has no network"),  # would be downloaded
        ("", r"timm has no network ''; timm.list_models\(\) lists them all"),
    ],
)
def test_a_name_that_timm_does_not_have_is_refused_with_the_nearest(name, expected):
    with pytest.raises(InputError, match=expected):
        build(f"timm:{name}", ARGUMENTS)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        # timm's own would accept the images, and use their first 16 rows and columns only.
        ("vit_tiny_patch16_224", "28 is not divisible by its patch size, 16"),
        ("test_vit", "28 is not divisible by its patch size, 16"),
        ("test_convnext", r"Calculated padded input size per channel: \(1 x 1\)"),
        ("test_maxvit", "integer modulo by zero|integer division or modulo by zero"),
        ("mvitv2_tiny", "tensor with negative dimension -1"),  # as early as when it is made
    ],
)
def test_a_network_that_does_not_accept_such_images_is_refused_with_the_reason(name, reason):
    with pytest.raises(
        InputError, match=f"timm:{name} does not accept images of 28 x 28 pixels.*({reason})"
    ) as caught:
        check(f"timm:{name}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (AssertionError(), r"pixels \(AssertionError\)"),
        (RuntimeError("first line\nsecond line"), r"pixels \(first line\)"),
    ],
)
def test_whatever_a_network_raises_becomes_one_line(monkeypatch, raised, message):
    def create_model(*_, **__):
        raise raised

    monkeypatch.setattr(timm, "create_model", create_model)
    with pytest.raises(InputError, match=message):
        check("timm:test_resnet")


def test_a_network_without_logits_is_refused(monkeypatch):
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: nn.Identity())
    with pytest.raises(InputError, match="something other than a row of logits for each"):
        check("timm:test_resnet")
