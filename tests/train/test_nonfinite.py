"""What a loss that is not finite does to a run of steps."""

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from tests.helpers import samples, train, training
from tinkering import train as train_module
from tinkering.errors import NonFiniteLossError
from tinkering.train import Meter


class Spoiled(TensorDataset):
    """Samples of which some make the loss infinite or not a number."""

    def __init__(self, num_samples, spoiled):
        super().__init__(*samples(num_samples).tensors)
        self.tensors[0][list(spoiled)] = float("nan")


def test_a_loss_that_is_not_finite_stops_before_the_step_and_names_it():
    model, optimizer, criterion = training()
    batches = DataLoader(Spoiled(24, [13]), 4)
    with pytest.raises(NonFiniteLossError, match=r"the loss of step 104 is nan, .* 1\.000e-01"):
        train(model, optimizer, criterion, batches, 6, step=100)
    assert all(p.isfinite().all() for p in model.parameters())


def test_batches_whose_loss_is_not_finite_can_be_left_out_and_are_counted():
    model, optimizer, criterion = training()
    meter = Meter()
    batches = DataLoader(Spoiled(24, [1, 13]), 4)
    loss, _, step = train(model, optimizer, criterion, batches, 6, on_nonfinite="skip", meter=meter)
    assert step == 6
    assert meter.num_skipped == 2
    assert len(meter.sizes) == 4
    assert torch.tensor(loss).isfinite()
    assert all(p.isfinite().all() for p in model.parameters())


def test_ten_such_batches_in_a_row_stop_all_the_same():
    meter = Meter()
    batches = DataLoader(Spoiled(24, range(24)), 4)
    with pytest.raises(NonFiniteLossError, match="step 10"):
        train(*training(), batches, 20, on_nonfinite="skip", meter=meter)
    assert meter.num_skipped == 10


def test_on_a_device_that_should_not_wait_the_first_such_step_is_found_afterwards(monkeypatch):
    """The CPU stands in for such a device by another name, as for a GPU that is not there."""
    monkeypatch.setattr(train_module, "reads_for_free", lambda _device: False)
    batches = DataLoader(Spoiled(24, [13]), 4)
    with pytest.raises(NonFiniteLossError, match="the loss of step 4 is nan"):
        train(*training(), batches, 6)
