import pytest
import torch
from torch.optim import lr_scheduler

from tinkering.errors import InputError
from tinkering.optim.schedules import (
    depends_on_num_steps,
    make_scheduler,
    step_with_validation,
)

LR = 0.1


def rates(num_steps, make):
    """The learning rate that each of num_steps optimizer steps is made with."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    scheduler = make(optimizer)
    seen = []
    for _ in range(num_steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


def ours(name, num_steps, **options):
    return rates(num_steps, lambda optimizer: make_scheduler(name, optimizer, num_steps, **options))


@pytest.mark.parametrize("num_steps", [2, 3, 10, 1000])
def test_linear_falls_in_a_straight_line_from_lr_to_its_final_share(num_steps):
    expected = torch.linspace(LR, LR * 0.01, num_steps, dtype=torch.float64)
    assert ours("linear", num_steps, final_lr_factor=0.01) == pytest.approx(expected.tolist())


@pytest.mark.parametrize("name", ["linear", "constant", "step", "cosine", "plateau"])
def test_a_run_of_one_step_is_made_with_lr(name):
    assert ours(name, 1, final_lr_factor=0.01) == [LR]


def test_a_final_factor_of_one_keeps_the_rate_and_of_zero_ends_at_nothing():
    assert ours("linear", 5, final_lr_factor=1.0) == pytest.approx([LR] * 5)
    assert ours("linear", 5, final_lr_factor=0.0)[-1] == 0


TORCHS = {
    "linear": lambda opt: lr_scheduler.LinearLR(opt, 1.0, 0.05, total_iters=59),
    "constant": lambda opt: lr_scheduler.ConstantLR(opt, 1.0),
    "step": lambda opt: lr_scheduler.StepLR(opt, 7, 0.7),
    "cosine": lambda opt: lr_scheduler.CosineAnnealingLR(opt, 59, eta_min=LR * 0.05),
    "onecycle": lambda opt: lr_scheduler.OneCycleLR(opt, LR, 60, cycle_momentum=False),
}


@pytest.mark.parametrize("name", TORCHS)
def test_each_schedule_is_torchs_own_at_every_step(name):
    found = ours(name, 60, final_lr_factor=0.05, step_size=7, gamma=0.7)
    assert found == pytest.approx(rates(60, TORCHS[name]))


@pytest.mark.parametrize("name", TORCHS)
def test_a_warm_up_rises_to_the_schedule_which_then_has_the_steps_that_are_left(name):
    options = {"final_lr_factor": 0.05, "step_size": 7}
    found = ours(name, 60, warmup=4, **options)
    assert found[:4] == pytest.approx([LR * part / 5 for part in (1, 2, 3, 4)])
    assert found[4:] == pytest.approx(ours(name, 56, **options))


@pytest.mark.parametrize("name", [*TORCHS, "plateau"])
def test_it_is_known_which_schedules_a_longer_run_changes(name):
    options = {"final_lr_factor": 0.05, "step_size": 7}
    is_changed = ours(name, 80, **options)[:60] != ours(name, 60, **options)
    assert depends_on_num_steps(name) == is_changed


VAL_LOSSES = [3, 2, 2, 1.99999, 2.1, 1.5, 1.6, 1.4, 1.4, 1.4, 1.4, 1.4, 1.4, 1.4, 9.0]


@pytest.mark.parametrize("warmup", [0, 7])
@pytest.mark.parametrize(("step_size", "patience"), [(4, 0), (8, 1), (9, 2), (12, 2)])
def test_plateau_drops_when_torchs_own_does(step_size, patience, warmup):
    """Four steps from validation to validation; torch's patience is a number of validations."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    torchs = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=patience)
    found, expected = [], []
    ours = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    scheduler = make_scheduler("plateau", ours, 60, gamma=0.5, step_size=step_size, warmup=warmup)
    for step, val_loss in enumerate(val_loss for loss in VAL_LOSSES for val_loss in 4 * [loss]):
        found.append(ours.param_groups[0]["lr"])
        expected.append(optimizer.param_groups[0]["lr"] * min(1, (step + 1) / (warmup + 1)))
        optimizer.step()
        ours.step()
        scheduler.step()
        if step % 4 == 3:
            torchs.step(val_loss)
            step_with_validation(scheduler, val_loss)
    assert found == pytest.approx(expected)
    assert found[-1] < LR


def test_only_plateau_looks_at_the_validation():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    scheduler = make_scheduler("constant", optimizer, 10)
    for _ in range(10):
        step_with_validation(scheduler, 1.0)
    assert optimizer.param_groups[0]["lr"] == LR


def test_a_warm_up_that_leaves_no_step_is_refused():
    with pytest.raises(InputError, match="--warmup_iters 5 leaves none of the 5 steps"):
        ours("linear", 5, warmup=5)
