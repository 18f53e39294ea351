import pytest
import torch
from torch import nn

from tinkering.errors import InputError, OutOfMemoryError
from tinkering.models import arguments_of, build
from tinkering.models.timm import make
from tinkering.models.vision import torchvision  # noqa: F401 - before timm, which imports it


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
    offered = {"num_classes": 11, "in_channels": in_channels, "image_size": image_size}
    assert arguments_of(arch, **offered, width=8) == offered
    model = build(arch, offered)
    logits = model(torch.randn(3, in_channels, image_size, image_size))
    assert logits.shape == (3, 11)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert sum(p.grad.abs().sum() for p in model.parameters()) > 0


def test_the_trial_leaves_no_trace_in_the_network_or_the_random_state():
    import timm

    torch.manual_seed(3)
    made = make("test_resnet", num_classes=5, in_channels=1, image_size=28)
    state = torch.get_rng_state()
    torch.manual_seed(3)
    direct = timm.create_model("test_resnet", num_classes=5, in_chans=1)
    assert torch.equal(state, torch.get_rng_state())
    for name, tensor in direct.state_dict().items():
        assert torch.equal(tensor, made.state_dict()[name]), name
    assert all(module.training for module in made.modules())
    assert all(p.grad is None and p.requires_grad for p in made.parameters())


def test_the_trial_draws_nothing_from_the_global_random_state(monkeypatch):
    class Draws(nn.Module):
        def forward(self, images):
            return torch.randn(len(images), 5)

    import timm

    monkeypatch.setattr(timm, "create_model", lambda *_, **__: Draws())
    state = torch.get_rng_state()
    assert make("test_resnet", num_classes=5, in_channels=1, image_size=28).training
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet10", "timm has no network 'resnet10'; the nearest: resnet10t, "),
        ("resnet10t.c3_in1k", "the nearest: resnet10t, "),  # a name of weights
        ("hf-hub:timm/resnet10t", "timm has no network"),  # would be downloaded
        ("", r"timm has no network ''; timm.list_models\(\) lists them all"),
    ],
)
def test_a_name_that_timm_has_not_is_refused_with_the_nearest(name, expected):
    with pytest.raises(InputError, match=expected):
        make(name, num_classes=10, in_channels=1, image_size=28)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        # timm's own would take the images, and see their first 16 rows and columns only.
        ("vit_tiny_patch16_224", "28 is not divisible by its patch size, 16"),
        ("test_vit", "28 is not divisible by its patch size, 16"),
        ("test_convnext", r"Calculated padded input size per channel: \(1 x 1\)"),
        ("test_maxvit", "integer modulo by zero|integer division or modulo by zero"),
        ("mvitv2_tiny", "Dimension size must be non-negative"),  # as early as when it is made
    ],
)
def test_a_network_that_does_not_take_such_images_is_refused_with_the_reason(name, reason):
    with pytest.raises(
        InputError, match=f"timm:{name} does not take images of 28 x 28: .*({reason})"
    ) as caught:
        make(name, num_classes=10, in_channels=1, image_size=28)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("raised", "expected", "message"),
    [
        (AssertionError(), InputError, "28 x 28: AssertionError"),
        (RuntimeError("first line\nsecond line"), InputError, "28 x 28: first line$"),
        (MemoryError(), OutOfMemoryError, "a smaller network"),
        (RuntimeError("can't allocate memory: 9 bytes"), OutOfMemoryError, "a smaller network"),
    ],
)
def test_whatever_a_network_raises_becomes_one_line(monkeypatch, raised, expected, message):
    def create_model(*_, **__):
        raise raised

    import timm

    monkeypatch.setattr(timm, "create_model", create_model)
    with pytest.raises(expected, match=message):
        make("test_resnet", num_classes=10, in_channels=1, image_size=28)


def test_a_network_without_logits_is_refused(monkeypatch):
    import timm

    monkeypatch.setattr(timm, "create_model", lambda *_, **__: nn.Identity())
    with pytest.raises(InputError, match="it gives something else than a row of logits for each"):
        make("test_resnet", num_classes=10, in_channels=1, image_size=28)
