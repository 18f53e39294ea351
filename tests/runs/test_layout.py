import os
import re
import subprocess
import sys

import pytest

from tests.runs.test_state import learner, progress
from tinkering.errors import DataError, InputError
from tinkering.runs import checkpoint
from tinkering.runs.layout import RunFiles, check_flags
from tinkering.runs.state import LoopState

FLAGS = {"lr": 0.1, "num_total_iterations": 10, "device": "auto", "run_id": "a", "save_path": "."}


def files(folder, run_id="a"):
    run = RunFiles(folder, "model.pt", run_id)
    run.make_folders()
    return run


def begun(folder):
    """A run that has saved its state."""
    run = files(folder)
    run.state.save(
        LoopState(FLAGS, step=4, best={"format": 1, "step": 2}, num_in_step=8), learner()
    )
    return run


def test_auto_starts_anew_where_there_is_nothing_and_goes_on_where_there_is(tmp_path):
    assert files(tmp_path).find("auto", FLAGS, 8) is None
    assert begun(tmp_path).find("auto", FLAGS, 8).content["progress"]["step"] == 4


def test_must_goes_on_and_ends_where_there_is_nothing(tmp_path):
    with pytest.raises(DataError, match=r"no run to go on with: no .*checkpoint_a\.pt"):
        files(tmp_path).find("must", FLAGS, 8)
    assert begun(tmp_path).find("must", FLAGS, 8).content["progress"]["step"] == 4


def test_never_starts_anew_and_moves_what_was_there_aside_under_a_dated_name(tmp_path):
    run = begun(tmp_path)
    run.model.write_text("model")
    run.metrics.write_text("metrics")
    assert run.find("never", FLAGS, 8) is None
    left = [path.name for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    assert len(left) == 3
    assert all(re.search(r"\.\d{4}-\d\d-\d\d_\d\d\.\d\d\.\d\d\.", name) for name in left)


def test_flags_that_change_the_result_are_refused_with_both_values(tmp_path):
    given = FLAGS | {"lr": 0.2, "device": "cpu"}
    with pytest.raises(InputError, match=r"--lr was 0\.1, is 0\.2") as refusal:
        begun(tmp_path).find("auto", given, 8)
    assert "device" not in str(refusal.value)
    assert "--run_id" in str(refusal.value)
    assert "--resume never" in str(refusal.value)


def test_a_run_may_grow_but_not_shrink():
    check_flags(FLAGS, FLAGS | {"num_total_iterations": 11})
    with pytest.raises(InputError, match="--num_total_iterations was 10, is 9"):
        check_flags(FLAGS, FLAGS | {"num_total_iterations": 9})


def test_the_images_of_a_step_must_stay_what_they_were_however_they_are_made_up(tmp_path):
    other_parts = FLAGS | {"batch_size": 2, "grad_accum_steps": 4}
    assert begun(tmp_path).find("auto", other_parts, 8).content["progress"]["step"] == 4
    with pytest.raises(InputError, match="draws 8 images a step, this start would draw 16"):
        files(tmp_path).find("auto", FLAGS, 16)


def test_the_model_file_is_written_again_if_it_is_gone(tmp_path):
    run = begun(tmp_path)
    run.begin(run.find("auto", FLAGS, 8), FLAGS, 8, learner())
    assert run.model.exists()


def model_of(run, **flags):
    checkpoint.save(run.model, {"format": checkpoint.FORMAT, "flags": FLAGS | flags})
    run.begin(None, FLAGS, 8, learner())
    return [path.name for path in run.moved]


@pytest.mark.parametrize("other", [{"run_id": "b"}, {"lr": 0.5}])
def test_the_model_file_of_another_run_is_moved_aside_and_not_overwritten(tmp_path, other):
    run = files(tmp_path)
    (moved,) = model_of(run, **other)
    assert re.fullmatch(r"model\.[\d_.-]+\.pt", moved)
    assert (tmp_path / moved).exists()
    assert not run.model.exists()


def test_the_model_file_of_the_run_itself_stays(tmp_path):
    assert model_of(files(tmp_path)) == []


def test_what_is_no_model_file_is_moved_aside_too(tmp_path):
    run = files(tmp_path)
    run.model.write_text("notes")
    run.begin(None, FLAGS, 8, learner())
    assert len(run.moved) == 1


def test_a_fresh_start_has_nothing_behind_it(tmp_path):
    assert files(tmp_path).begin(None, FLAGS, 8, learner()) == LoopState(FLAGS, num_in_step=8)
    assert progress() != LoopState(FLAGS)


HOLD = """
import sys, time
from pathlib import Path
from tinkering.runs.layout import RunFiles
files = RunFiles(Path(sys.argv[1]), "model.pt", "a")
files.make_folders()
with files.locked():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_run_of_one_id_is_refused_and_told_the_firsts_process(tmp_path, holder):
    with (
        pytest.raises(InputError, match=f"under way in process {holder.pid}"),
        files(tmp_path).locked(),
    ):
        pass
    with files(tmp_path, run_id="b").locked():
        pass


def test_a_lock_is_given_back_at_the_end_of_its_block(tmp_path):
    owner = tmp_path / "a" / "lock.pid"
    for _ in range(2):
        with files(tmp_path).locked():
            assert owner.read_text() == str(os.getpid())
        assert not owner.exists()


def test_an_error_of_the_run_is_not_hidden_by_a_folder_that_can_no_longer_be_written(tmp_path):
    """A folder in the place of the file is, like a disk that became read-only, in unlink's way."""
    owner = tmp_path / "a" / "lock.pid"

    def run():
        with files(tmp_path).locked():
            owner.unlink()
            owner.mkdir()
            raise DataError("the run's own")

    with pytest.raises(DataError, match="the run's own"):
        run()


def test_the_lock_of_a_dead_process_is_no_obstacle(tmp_path, holder):
    holder.kill()
    holder.wait()
    owner = tmp_path / "a" / "lock.pid"
    assert owner.read_text() == str(holder.pid)
    with files(tmp_path).locked():
        assert owner.read_text() == str(os.getpid())


@pytest.mark.parametrize("name", ["checkpoint_a.pt", "checkpoint_a.previous.pt", "a"])
def test_a_model_file_may_not_have_the_name_of_another_file_of_the_run(tmp_path, name):
    with pytest.raises(InputError, match=f"--model_name {name} is the name of another file"):
        RunFiles(tmp_path, name, "a")


def test_what_killed_processes_left_half_written_is_removed(tmp_path):
    run = files(tmp_path)
    for file in (run.model, run.state.path, run.metrics):
        file.with_name(f"{file.name}.4711.part").write_text("half")
    (tmp_path / "other.pt.4711.part").write_text("another run's")
    with run.locked():
        pass
    assert [path.name for path in tmp_path.rglob("*.part")] == ["other.pt.4711.part"]
