import errno
import io
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.helpers import make_flags, make_train_state
from tinkering.errors import DataError, NonFiniteLossError, OutOfMemoryError, WriteError
from tinkering.optim.schedules import step_with_validation
from tinkering.runs import checkpoint
from tinkering.runs.state import LoopState, StateFile, restore
from tinkering.train import Meter


def train(train_state, num_steps):
    """Steps on random data, from the global random state."""
    for _ in range(num_steps):
        train_state.optimizer.zero_grad()
        train_state.model(torch.randn(4, 36)).square().mean().backward()
        train_state.optimizer.step()
        train_state.scheduler.step()
        train_state.ema.update_parameters(train_state.model)
        step_with_validation(train_state.scheduler, 1.0)  # not better: plateau drops at the second


def loop_at(step=3):
    return LoopState(
        make_flags(lr=0.1),
        step,
        validated_step=2,
        best_step=2,
        best_accuracy=0.5,
        best={"model": {"weight": torch.ones(2)}, "step": 2},
        metrics=[[1, 0.1, "", 0.5]],
        meter=Meter([torch.tensor(0.5)], [torch.tensor(0.25)], [4], num_skipped=1),
        train_seconds=1.5,
    )


def rates(train_state):
    return [group["lr"] for group in train_state.optimizer.param_groups]


@pytest.fixture
def state(tmp_path):
    return StateFile(tmp_path / "state.pt", tmp_path / "state.previous.pt")


@pytest.fixture
def saved_twice(state):
    for step in (1, 2):
        state.save(loop_at(step), make_train_state())
    return state


def step_of(loaded):
    return loaded.content["loop"]["step"]


def corrupt(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("schedule", ["linear", "plateau"])
def test_training_continues_from_a_state_bit_for_bit_as_without_interruption(state, schedule):
    straight = make_train_state(schedule=schedule)
    train(straight, 3)
    state.save(loop_at(), straight)
    train(straight, 4)
    resumed = make_train_state(seed=1, schedule=schedule)
    restore(state.load().content, resumed)
    train(resumed, 4)
    for part in ("model", "optimizer", "ema"):
        one, other = (getattr(these, part).state_dict() for these in (resumed, straight))
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert rates(resumed) == rates(straight)
    assert rates(resumed) != rates(make_train_state(schedule=schedule))


def test_the_state_of_the_loop_is_restored_as_it_was(state):
    state.save(loop_at(), make_train_state())
    loop = restore(state.load().content, make_train_state())
    assert repr(loop) == repr(loop_at())  # tensors compare by their values so


def test_a_state_is_read_without_running_code(state):
    state.save(loop_at(), make_train_state())
    assert torch.load(state.path, weights_only=True)["loop"]["step"] == 3


def test_a_state_does_not_grow_with_the_batches_since_the_last_line_of_metrics(state):
    sizes = []
    for num_batches in (1_000, 3_000):
        meter = Meter()
        for _ in range(num_batches):
            meter.add(torch.tensor(0.5), torch.tensor(0.25), 4)
        state.save(replace(loop_at(), meter=meter), make_train_state())
        sizes.append(state.path.stat().st_size)
    assert abs(sizes[1] - sizes[0]) < 1_000  # bytes


def test_a_run_that_grows_has_the_learning_rate_of_its_new_length(state):
    short = make_train_state(num_steps=11)
    train(short, 5)
    state.save(loop_at(), short)
    longer = make_train_state(num_steps=101)
    restore(state.load().content, longer)
    assert rates(longer)[0] == pytest.approx(0.1 * 0.95)
    train(longer, 1)
    assert rates(longer)[0] == pytest.approx(0.1 * 0.94)


def without(content, *keys):
    *above, last = keys
    part = content
    for key in above:
        part = part[key]
    del part[last]


EDITS = {
    "no weights": lambda content: without(content, "model"),
    "a weight missing": lambda content: without(content, "model", "1.weight"),
    "a weight of another shape": lambda content: content["model"].update(
        {"1.weight": torch.ones(2)}
    ),
    "an unknown weight": lambda content: content["model"].update(more=torch.ones(2)),
    "a list for the optimizer": lambda content: content.update(optimizer=[]),
    "no random state": lambda content: without(content, "random", "cpu"),
    "an unknown entry": lambda content: content["loop"].update(more=1),
    "no flags": lambda content: without(content, "loop", "flags"),
    "text for the meter": lambda content: content["loop"].update(meter="x"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_a_state_that_does_not_fit_is_refused_in_one_line(state, edit):
    state.save(loop_at(), make_train_state())
    content = state.load().content
    edit(content)
    with pytest.raises(DataError, match=r"does not fit .* --resume never") as refusal:
        restore(content, make_train_state())
    assert "\n" not in str(refusal.value)


def test_two_generations_are_kept_and_the_newer_is_read(saved_twice, tmp_path):
    saved_twice.save(loop_at(3), make_train_state())
    assert sorted(os.listdir(tmp_path)) == ["state.previous.pt", "state.pt"]
    loaded = saved_twice.load()
    assert step_of(loaded) == 3
    assert loaded.warning == ""


def test_a_corrupt_newest_state_is_reported_and_the_one_before_it_read(saved_twice):
    corrupt(saved_twice.path)
    loaded = saved_twice.load()
    assert step_of(loaded) == 1
    assert f"{saved_twice.path} is corrupt" in loaded.warning
    assert str(saved_twice.previous) in loaded.warning


def test_a_corrupt_state_never_replaces_a_whole_one(saved_twice):
    corrupt(saved_twice.path)
    saved_twice.load()
    saved_twice.save(loop_at(5), make_train_state())
    corrupt(saved_twice.path)
    assert step_of(saved_twice.load()) == 1


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.EMFILE])
def test_a_state_that_cannot_be_read_at_the_moment_stays_as_it_is(saved_twice, monkeypatch, number):
    before = sorted(os.listdir(saved_twice.path.parent))
    really_open = io.open

    def fail(file, *args, **kwargs):
        if file == saved_twice.path:
            raise OSError(number, os.strerror(number), str(file))
        return really_open(file, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(io, "open", fail)  # what Path.open calls
        with pytest.raises(DataError, match=os.strerror(number)) as refusal:
            saved_twice.load()
    assert "--resume never" not in str(refusal.value)
    assert sorted(os.listdir(saved_twice.path.parent)) == before
    assert step_of(saved_twice.load()) == 2


def test_too_little_memory_to_read_a_state_is_no_damage(saved_twice, monkeypatch):
    def fail(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", fail)
        with pytest.raises(OutOfMemoryError, match="too little memory"):
            saved_twice.load()
    assert step_of(saved_twice.load()) == 2


def test_if_the_newest_is_lost_between_two_renames_the_one_before_it_is_read(saved_twice):
    saved_twice.path.unlink()
    assert saved_twice.exists()
    assert step_of(saved_twice.load()) == 1


@pytest.mark.parametrize("generations", [1, 2])
def test_if_none_is_whole_all_are_named_with_the_way_out(saved_twice, generations):
    corrupt(saved_twice.path)
    corrupt(saved_twice.previous) if generations == 2 else saved_twice.previous.unlink()
    with pytest.raises(DataError, match="--resume never") as refusal:
        saved_twice.load()
    assert str(refusal.value).count("is corrupt") == generations


def test_weights_that_are_not_finite_never_replace_a_good_state(state):
    state.save(loop_at(1), make_train_state())
    spoiled = make_train_state()
    spoiled.model[1].weight.data[0, 0] = float("nan")
    with pytest.raises(NonFiniteLossError):
        state.save(loop_at(2), spoiled)
    assert step_of(state.load()) == 1


def test_a_write_that_fails_is_named_and_leaves_both_generations(
    saved_twice, monkeypatch, tmp_path
):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match=r"cannot write .*state\.pt: No space left"):
        saved_twice.save(loop_at(3), make_train_state())
    assert step_of(saved_twice.load()) == 2
    assert len(os.listdir(tmp_path)) == 2


def test_a_link_to_nowhere_does_not_replace_a_whole_state(saved_twice):
    saved_twice.path.unlink()
    saved_twice.path.symlink_to("gone")
    saved_twice.load()
    saved_twice.save(loop_at(5), make_train_state())
    saved_twice.path.unlink()
    assert step_of(saved_twice.load()) == 1


def test_a_model_file_is_not_read_as_a_state(state):
    checkpoint.save(state.path, checkpoint.model_content(torch.nn.Linear(2, 2)))
    with pytest.raises(DataError, match="is of format 1, this program reads format state 3"):
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
    loop = LoopState({})
    for loop.step, accuracy in enumerate(accuracies, 1):
        loop.record_validation(accuracy, min_delta)
    assert loop.num_stale == expected
    assert loop.is_finished(100, patience=2) == (expected == 2)
    assert not loop.is_finished(100, patience=None)
    assert loop.is_finished(4, patience=None)


def test_the_best_step_is_that_of_the_highest_accuracy_however_little_better():
    loop = LoopState({})
    bests = []
    for loop.step, accuracy in enumerate([0.5, 0.501, 0.4, 0.501, float("nan")], 1):
        bests.append(loop.record_validation(accuracy, min_delta=0.1))
    assert bests == [True, True, False, False, False]
    assert (loop.best_step, loop.best_accuracy, loop.validated_step) == (2, 0.501, 5)
