import math

import pytest
import torch

from tests.helpers import make_run
from tinkering.errors import NonFiniteLossError
from tinkering.runs import checkpoint

CONFIG = "model_name: run.pt\n"


def begin(save_path, mode="auto", **flags):
    run = make_run(save_path, **flags)
    with run.started(mode, CONFIG, frozenset()):
        return run


@pytest.fixture
def validated(tmp_path):
    """A run that has validated and saved its fourth step of ten."""
    run = begin(tmp_path, eval_interval_iters=4)
    run.loop.step = 4
    run.record_validation(0.5, 0.25)
    run.save_if_due()
    return run


def test_a_run_continues_at_its_saved_step_and_says_so(tmp_path, validated):
    again = begin(tmp_path, eval_interval_iters=4)
    assert (again.loop.step, again.loop.best_step) == (4, 4)
    assert again.notices == ["continuing the run run at step 4"]
    assert not again.awaits_validation


@pytest.mark.parametrize(
    ("schedule", "is_stretched"),
    [
        *[("linear", True), ("cosine", True), ("onecycle", True)],
        *[("constant", False), ("step", False), ("plateau", False)],
    ],
)
def test_a_run_that_grows_reports_the_learning_rate_where_it_changes(
    tmp_path, schedule, is_stretched
):
    run = begin(tmp_path, schedule=schedule)
    run.loop.step = 4
    run.save()
    again = begin(tmp_path, schedule=schedule, num_total_iterations=20)
    assert "it grows from 10 to 20 steps" in again.notices[1]
    assert ("stretched over all of them" in again.notices[1]) == is_stretched


def test_the_model_file_is_written_again_if_it_is_missing(tmp_path, validated):
    validated.files.model.unlink()
    begin(tmp_path, eval_interval_iters=4)
    assert checkpoint.load(validated.files.model)["step"] == 4


def test_a_segment_ends_at_the_next_validation_or_save(tmp_path):
    run = begin(tmp_path, eval_interval_iters=4, checkpoint_interval_iters=3)
    lengths = []
    while run.loop.step < run.num_steps:
        with run.segment() as num_steps:
            lengths.append(num_steps)
            run.loop.step += num_steps
    assert lengths == [3, 1, 2, 2, 1, 1]
    assert run.loop.train_seconds > 0


def test_a_step_that_is_saved_is_not_saved_again(validated):
    before = validated.files.state.stat()
    validated.save()
    assert validated.files.state.stat().st_ino == before.st_ino
    assert not validated.files.previous_state.exists()


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_validation_loss_that_is_not_finite_ends_the_run(validated, loss):
    validated.loop.step = 8
    with pytest.raises(NonFiniteLossError, match=f"loss of step 8 is {loss}"):
        validated.record_validation(loss, 0.9)
    assert checkpoint.load(validated.files.model)["step"] == 4


def test_a_validation_loss_that_is_not_finite_is_never_the_best_where_such_are_skipped(tmp_path):
    run = begin(tmp_path, on_nonfinite="skip")
    run.loop.step = 4
    assert not run.record_validation(math.nan, 0.9)
    assert not run.files.model.exists()
    with pytest.raises(NonFiniteLossError, match="in every validation"):
        run.best_model()
    run.loop.step = 8
    assert run.record_validation(0.5, 0.25)
    assert checkpoint.load(run.files.model)["val_accuracy"] == 0.25


def test_a_training_loss_that_is_not_finite_is_reported_with_images_and_last_good_state(validated):
    with (
        pytest.raises(NonFiniteLossError, match=r"the last good state is in .*state\.pt") as error,
        validated.segment(),
    ):
        raise NonFiniteLossError(5, 0.1, math.nan)
    assert "of the training file" in str(error.value)
    assert "--on_nonfinite skip" in str(error.value)


def test_the_best_model_has_the_weights_of_the_best_validation(validated):
    best = {name: w.clone() for name, w in validated.train_state.eval_model.state_dict().items()}
    with torch.no_grad():
        for weight in validated.train_state.eval_model.parameters():
            weight.add_(1)
    torch.testing.assert_close(validated.best_model().state_dict(), best, rtol=0, atol=0)


def test_a_model_file_has_everything_that_using_it_needs(validated):
    content = checkpoint.load(validated.files.model)
    assert content["flags"]["run_id"] == "run"
    assert (content["mean"], content["std"]) == (0.25, 0.5)
    assert content["val_loss"] == 0.5
    assert content["data_hash"]
    assert content["code_hash"]
    assert len(content["classes"]) == 50
