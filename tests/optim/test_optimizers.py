import pytest
import torch
from torch.nn import functional

from tinkering.errors import InputError
from tinkering.models import ResNet4StageCustom
from tinkering.optim.losses import make_criterion
from tinkering.optim.optimizers import OPTIMIZERS, make_optimizer


def batch():
    torch.manual_seed(0)
    return torch.randn(16, 1, 28, 28), torch.arange(16) % 4


@pytest.mark.parametrize("loss", ["cross_entropy", "nll"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_lowers_every_loss_on_one_batch(name, loss):
    images, labels = batch()
    model = ResNet4StageCustom(num_classes=4, width=4)
    lr = {"adadelta": 1.0, "sgd": 0.05, "rmsprop": 1e-3}.get(name, 1e-2)
    optimizer = make_optimizer(name, model, lr)
    criterion = make_criterion(loss, label_smoothing=0.1)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        losses.append(criterion(model(images), labels))
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_norms_and_biases_go_without_weight_decay(name):
    model = ResNet4StageCustom(num_classes=4, width=4)
    decayed, others = make_optimizer(name, model, 0.1, weight_decay=0.5).param_groups
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.5, 0.0)
    assert all(p.dim() in (2, 4) for p in decayed["params"])
    assert all(p.dim() == 1 for p in others["params"])
    assert len(decayed["params"]) + len(others["params"]) == len(list(model.parameters()))


def test_options_reach_the_optimizer_that_takes_them():
    model = torch.nn.Linear(2, 2)
    assert make_optimizer("adam", model, 0.1, betas=(0.7, 0.9)).defaults["betas"] == (0.7, 0.9)
    sgd = make_optimizer("sgd", model, 0.1, momentum=0.8, nesterov=True).defaults
    assert (sgd["momentum"], sgd["nesterov"]) == (0.8, True)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_nll_gives_the_same_numbers_as_cross_entropy(smoothing):
    logits, labels = 5 * torch.randn(8, 5), torch.arange(8) % 5
    losses = [make_criterion(name, smoothing)(logits, labels) for name in ("cross_entropy", "nll")]
    expected = functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    assert losses == pytest.approx([expected.item()] * 2, rel=1e-5)


def test_options_that_do_not_go_together_are_refused():
    with pytest.raises(InputError, match="--optimizer sgd: Nesterov"):
        make_optimizer("sgd", torch.nn.Linear(2, 2), 0.1, momentum=0.0, nesterov=True)
    with pytest.raises(InputError, match="--optimizer adam: Invalid beta"):
        make_optimizer("adam", torch.nn.Linear(2, 2), 0.1, betas=(0.9, 1.0))
