import pytest
import torch

from tinkering.models import ARCHITECTURES, BasicBlock, ResNet4StageCustom, SimpleResNet


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


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_network_gives_logits_and_a_gradient_to_every_weight(arch):
    model = ARCHITECTURES[arch](num_classes=11, in_channels=1, width=8)
    logits = model(torch.randn(3, 1, 28, 28))
    assert logits.shape == (3, 11)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
