import os

import pytest
import torch

from tinkering.errors import DataError, NonFiniteLossError, WriteError
from tinkering.optim.optimizers import make_ema, make_optimizer
from tinkering.optim.schedules import make_scheduler, step_with_validation
from tinkering.runs import checkpoint
from tinkering.runs.state import LoopState, StateFile, TrainState, restore
from tinkering.train import Meter


def learner(num_steps=10, seed=0, schedule="linear"):
    torch.manual_seed(seed)
    model = torch.nn.Linear(3, 2)
    optimizer = make_optimizer("adamw", model, lr=0.1)
    scheduler = make_scheduler(schedule, optimizer, num_steps, final_lr_factor=0.0, step_size=1)
    scaler = torch.amp.GradScaler(enabled=False)
    return TrainState(model, optimizer, scheduler, scaler, make_ema(model, 0.9))


def train(learner, num_steps):
    """Steps on random data, from the global random state."""
    for _ in range(num_steps):
        learner.optimizer.zero_grad()
        learner.model(torch.randn(4, 3)).square().mean().backward()
        learner.optimizer.step()
        learner.scheduler.step()
        learner.ema.update_parameters(learner.model)
        step_with_validation(learner.scheduler, 1.0)  # never better: plateau drops at the second


@pytest.fixture
def state(tmp_path):
    return StateFile(tmp_path / "checkpoint_run.pt")


def progress(step=3):
    meter = Meter([torch.tensor(0.5)], [torch.tensor(0.25)], [4], num_skipped=1)
    best = {"model": {"weight": torch.ones(2)}, "step": 2}
    return LoopState({"lr": 0.1}, step, 2, 2, 0.5, best, [[1, 0.1, "", 0.5]], meter, 1.5)


def rates(learner):
    return [group["lr"] for group in learner.optimizer.param_groups]


@pytest.mark.parametrize("schedule", ["linear", "plateau"])
def test_a_learner_that_was_restored_goes_on_bit_by_bit_as_if_nothing_had_been(state, schedule):
    straight = learner(schedule=schedule)
    train(straight, 3)
    state.save(progress(), straight)
    train(straight, 4)
    resumed = learner(seed=1, schedule=schedule)
    restore(state.load().content, resumed)
    train(resumed, 4)
    torch.testing.assert_close(
        resumed.model.state_dict(), straight.model.state_dict(), rtol=0, atol=0
    )
    torch.testing.assert_close(
        resumed.optimizer.state_dict()["state"],
        straight.optimizer.state_dict()["state"],
        rtol=0,
        atol=0,
    )
    torch.testing.assert_close(resumed.ema.state_dict(), straight.ema.state_dict(), rtol=0, atol=0)
    assert rates(resumed) == rates(straight)
    assert rates(resumed) != rates(learner(schedule=schedule))


def test_progress_comes_back_as_it_was(state):
    state.save(progress(), learner())
    found = restore(state.load().content, learner())
    assert repr(found) == repr(progress())  # tensors compare by their values so


def test_a_state_is_read_without_running_code(state):
    state.save(progress(), learner())
    assert torch.load(state.path, weights_only=True)["progress"]["step"] == 3


def test_a_run_that_grows_takes_the_learning_rate_of_its_new_length(state):
    short = learner(num_steps=11)
    train(short, 5)
    state.save(progress(), short)
    longer = learner(num_steps=101)
    restore(state.load().content, longer)
    assert longer.optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * 0.95)
    train(longer, 1)
    assert longer.optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * 0.94)


def saved_twice(state):
    for step in (1, 2):
        state.save(progress(step), learner())


def test_two_generations_are_kept_and_the_newer_is_read(state, tmp_path):
    saved_twice(state)
    state.save(progress(3), learner())
    assert sorted(os.listdir(tmp_path)) == ["checkpoint_run.previous.pt", "checkpoint_run.pt"]
    found = state.load()
    assert found.content["progress"]["step"] == 3
    assert found.warning == ""


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_damaged_newest_state_is_reported_and_the_one_before_it_read(state):
    saved_twice(state)
    damage(state.path)
    found = state.load()
    assert found.content["progress"]["step"] == 1
    assert f"{state.path} is damaged" in found.warning
    assert str(state.previous) in found.warning


def test_a_damaged_state_never_takes_the_place_of_a_whole_one(state):
    saved_twice(state)
    damage(state.path)
    state.load()
    state.save(progress(5), learner())
    damage(state.path)
    assert state.load().content["progress"]["step"] == 1


def test_if_the_newest_is_lost_between_two_renames_the_one_before_it_is_read(state):
    saved_twice(state)
    state.path.unlink()
    assert state.exists()
    assert state.load().content["progress"]["step"] == 1


@pytest.mark.parametrize("generations", [1, 2])
def test_if_none_is_whole_all_are_named_with_the_way_out(state, generations):
    saved_twice(state)
    damage(state.path)
    damage(state.previous) if generations == 2 else state.previous.unlink()
    with pytest.raises(DataError, match="--resume never") as refusal:
        state.load()
    assert str(refusal.value).count("is damaged") == generations


def test_weights_that_are_not_finite_never_replace_a_good_state(state):
    state.save(progress(1), learner())
    spoiled = learner()
    spoiled.model.weight.data[0, 0] = float("nan")
    with pytest.raises(NonFiniteLossError):
        state.save(progress(2), spoiled)
    assert state.load().content["progress"]["step"] == 1


def test_a_write_that_fails_is_named_and_leaves_both_generations(state, monkeypatch, tmp_path):
    saved_twice(state)

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match=r"cannot write .*checkpoint_run\.pt: No space left"):
        state.save(progress(3), learner())
    assert state.load().content["progress"]["step"] == 2
    assert len(os.listdir(tmp_path)) == 2


def test_a_state_file_knows_how_far_the_newest_state_on_the_disk_has_come(state):
    assert not state.holds(progress())
    state.save(progress(3), learner())
    assert state.holds(progress(3))
    assert not state.holds(progress(4))
    again = StateFile(state.path)
    again.load()
    assert again.holds(progress(3))


def test_a_link_to_nowhere_does_not_take_the_place_of_a_whole_state(state):
    saved_twice(state)
    state.path.unlink()
    state.path.symlink_to("gone")
    state.load()
    state.save(progress(5), learner())
    state.path.unlink()
    assert state.load().content["progress"]["step"] == 1


def test_a_model_file_is_not_taken_for_a_state(state):
    checkpoint.save(state.path, checkpoint.model_content(torch.nn.Linear(2, 2)))
    with pytest.raises(DataError, match="is of format 1, this program reads format state 2"):
        state.load()


@pytest.mark.parametrize(
    ("accuracies", "min_delta", "expected"),
    [
        ([0.5, 0.6, 0.6, 0.6], 0.0, 2),
        ([0.5, 0.6, 0.5, 0.7], 0.0, 0),
        ([0.5, 0.61, 0.65, 0.69], 0.1, 2),
        ([0.5, 0.55, 0.61, 0.7], 0.1, 1),
    ],
)
def test_patience_counts_validations_without_an_accuracy_better_by_min_delta(
    accuracies, min_delta, expected
):
    run = LoopState({})
    for run.step, accuracy in enumerate(accuracies, 1):
        run.validated(accuracy, min_delta)
    assert run.num_stale == expected
    assert run.is_finished(100, patience=2) == (expected == 2)
    assert not run.is_finished(100, patience=None)
    assert run.is_finished(4, patience=None)


def test_the_best_step_is_that_of_the_highest_accuracy_however_little_better():
    run = LoopState({})
    bests = []
    for run.step, accuracy in enumerate([0.5, 0.501, 0.4, 0.501], 1):
        bests.append(run.validated(accuracy, min_delta=0.1))
    assert bests == [True, True, False, False]
    assert (run.best_step, run.best_accuracy, run.validated_step) == (2, 0.501, 4)
