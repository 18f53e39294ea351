import pytest
import torch

from tinkering.errors import InputError
from tinkering.models import ARCHITECTURES, ResNet4StageCustom, arguments_of, build
from tinkering.models.resnet import BasicBlock, PreactBlock, SimpleResNet
from tinkering.models.small import StrideNet


def num_parameters(model):
    return sum(p.numel() for p in model.parameters())


def test_the_default_network_has_the_published_number_of_parameters():
    assert num_parameters(ResNet4StageCustom(num_classes=62, width=64)) == 4_928_766


def test_a_block_keeps_its_input_as_it_is_in_the_shortcut_where_the_shape_stays():
    assert len(BasicBlock(8, 8).shortcut) == 0


@pytest.mark.parametrize(("in_channels", "stride"), [(4, 1), (8, 2), (4, 2)])
def test_a_block_has_a_1x1_convolution_in_the_shortcut_where_the_shape_changes(in_channels, stride):
    block = BasicBlock(in_channels, 8, stride)
    assert block.shortcut[0].kernel_size == (1, 1)
    assert block(torch.zeros(2, in_channels, 7, 7)).shape == (
        2,
        8,
        -(-7 // stride),
        -(-7 // stride),
    )


def test_a_block_is_the_sum_of_its_convolutions_and_its_shortcut():
    block = BasicBlock(3, 5, 2).eval()
    x = torch.randn(2, 3, 8, 8)
    straight = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(x)))))
    torch.testing.assert_close(block(x), torch.relu(straight + block.shortcut(x)))


def test_the_stem_keeps_the_resolution_and_each_later_stage_halves_it():
    model = ResNet4StageCustom(width=4)
    x = model.stem(torch.zeros(1, 1, 28, 28))
    shapes = [x.shape[1:]]
    for stage in model.stages:
        x = stage(x)
        shapes.append(x.shape[1:])
    assert shapes == [(4, 28, 28), (4, 28, 28), (8, 14, 14), (16, 7, 7), (32, 4, 4)]


def test_stages_may_have_several_blocks():
    model = SimpleResNet(BasicBlock, [2, 3], num_classes=7, in_channels=3, width=4)
    assert [len(stage) for stage in model.stages] == [2, 3]
    assert model(torch.zeros(2, 3, 9, 9)).shape == (2, 7)


@pytest.mark.parametrize(("image_size", "in_channels"), [(28, 1), (32, 3)])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_network_gives_logits_and_a_gradient_to_every_weight(arch, image_size, in_channels):
    image_shape = (in_channels, image_size, image_size)
    model = build(arch, arguments_of(arch, 11, image_shape, width=8))
    logits = model(torch.randn(3, in_channels, image_size, image_size))
    assert logits.shape == (3, 11)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize(
    ("arch", "expected"),
    [
        ("convnet", 1_199_882),
        ("preact20", 271_994),
        ("lenet5", 61_706),
        ("stridenet", 49_098),
        ("fcn", 332_042),
    ],
)
def test_the_networks_have_their_known_numbers_of_parameters(arch, expected):
    args = arguments_of(arch, 10, (1, 28, 28), width=64)
    assert num_parameters(build(arch, args)) == expected


def test_a_preact_block_adds_its_convolutions_to_its_input():
    block = PreactBlock(4, 4).eval()
    torch.nn.init.zeros_(block.conv2.weight)
    x = torch.randn(2, 4, 8, 8)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("image_size", [19, 20, 21, 22, 28, 31, 32, 64])
def test_the_network_for_speed_takes_images_of_any_size_from_19_pixels(image_size):
    model = StrideNet(image_size=image_size)
    assert model(torch.zeros(2, 1, image_size, image_size)).shape == (2, 10)


def test_the_network_for_speed_soon_has_few_pixels_left():
    x, shapes = torch.zeros(1, 1, 28, 28), []
    for layer in StrideNet():
        x = layer(x)
        if isinstance(layer, torch.nn.Conv2d):
            shapes.append(x.shape[1:])
    assert shapes == [(32, 14, 14), (48, 5, 5), (64, 3, 3)]


def test_a_network_is_given_only_the_arguments_that_it_has_parameters_for():
    everything = {"num_classes": 10, "in_channels": 1, "image_size": 28, "width": 64}
    assert arguments_of("mlp", 10, (1, 28, 28), 64) == everything
    assert arguments_of("resnet18", 10, (1, 28, 28), 64) == {"num_classes": 10, "in_channels": 1}


def test_an_unknown_network_is_refused_with_those_that_there_are():
    expected = "no network 'resnet19': choose one of resnet4stage, .*, fcn, timm:NAME"
    with pytest.raises(InputError, match=expected):
        arguments_of("resnet19", 10, (1, 28, 28), 64)
    with pytest.raises(InputError, match=expected):
        build("resnet19", {"num_classes": 10})
