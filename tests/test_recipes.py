import pytest
import torch

from tinkering.recipes import linear_decay


def rates(num_steps, final_factor, lr=0.1):
    """The learning rate that each of num_steps optimizer steps is made with."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = linear_decay(optimizer, num_steps, final_factor)
    seen = []
    for _ in range(num_steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


@pytest.mark.parametrize("num_steps", [2, 3, 10, 1000])
def test_the_rate_falls_in_a_straight_line_from_lr_to_its_final_share(num_steps):
    expected = torch.linspace(0.1, 0.1 * 0.01, num_steps, dtype=torch.float64)
    assert rates(num_steps, 0.01) == pytest.approx(expected.tolist())


def test_a_run_of_one_step_is_made_with_lr():
    assert rates(1, 0.01) == [0.1]


def test_a_final_factor_of_one_keeps_the_rate_and_of_zero_ends_at_nothing():
    assert rates(5, 1.0) == pytest.approx([0.1] * 5)
    assert rates(5, 0.0)[-1] == 0
