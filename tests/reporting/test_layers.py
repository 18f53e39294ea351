import copy
import gc

import pytest
import torch
from torch import nn

from tinkering.models import ARCHITECTURES, arguments_of, build
from tinkering.models.small import LeNet5, StrideNet
from tinkering.reporting.layers import layer_table


def test_the_table_has_each_layer_with_its_shape_parameters_and_multiply_adds():
    rows = [line.split() for line in layer_table(LeNet5(), (1, 28, 28), 5).splitlines()]
    first = 6 * 25 + 6
    assert ["+", "Conv2d:", "1-1", "[5,", "6,", "28,", "28]", f"{first}", "611,520"] in rows
    assert 5 * first * 28 * 28 == 611_520
    assert ["+", "Linear:", "1-12", "[5,", "10]", "850", "4,250"] in rows
    assert ["Total", "params:", "61,706"] in rows
    assert ["Total", "mult-adds", "(M):", "2.12"] in rows


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_table_is_plain_text_of_100_columns_at_most(arch):
    offered = {"num_classes": 62, "in_channels": 3, "image_size": 32, "width": 64}
    table = layer_table(build(arch, arguments_of(arch, **offered)), (3, 32, 32), 1024)
    assert table.isascii()
    assert "Units" not in table
    assert max(len(line) for line in table.splitlines()) <= 100


def test_the_network_and_the_random_state_stay_as_they_were():
    model = nn.Sequential(StrideNet(), nn.Dropout()).to(memory_format=torch.channels_last)
    model[0][1].eval()  # one layer's own mode
    model(torch.randn(4, 1, 28, 28)).sum().backward()
    before, gradients = copy.deepcopy(model), [p.grad.clone() for p in model.parameters()]
    state = torch.get_rng_state()
    layer_table(model, (1, 28, 28), 64)
    assert torch.equal(state, torch.get_rng_state())
    for old, new in zip(before.modules(), model.modules(), strict=True):
        assert old.training == new.training
        assert not new._forward_hooks
        assert not new._forward_pre_hooks
    for name, tensor in before.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name
    for old, new in zip(before.parameters(), model.parameters(), strict=True):
        assert new.device.type == "cpu"
        assert new.stride() == old.stride()
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        assert torch.equal(parameter.grad, gradient)


def test_nothing_of_the_network_is_kept():
    class Own(StrideNet):
        pass

    layer_table(Own(), (1, 28, 28), 64)
    gc.collect()
    assert not [thing for thing in gc.get_objects() if type(thing) is Own]
