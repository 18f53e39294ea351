import dataclasses
import sys

import pytest

from tests.helpers import make_flags, make_run
from tinkering.errors import DataError, InputError
from tinkering.runs import checkpoint, resume
from tinkering.runs.resume import code_hash, find_state
from tinkering.runs.state import FORMAT

FREE_FLAGS = frozenset({"device"})


@pytest.fixture(autouse=True)
def command(monkeypatch):
    """The command line that messages repeat."""
    monkeypatch.setattr(sys, "orig_argv", ["python", "train.py", "--lr", "0.2", "--run_id", "run"])


@pytest.fixture
def saved(tmp_path):
    """A run that has saved its model and its state."""
    run = make_run(tmp_path)
    with run.started("auto", "run_id: run\nmodel_name: run.pt\n", FREE_FLAGS):
        run.loop.step = 4
        run.record_validation(0.5, 0.25)
        run.save()
    return run


def find(run, mode="auto", has_batch_norm=False, loop=None):
    return find_state(run.files, mode, loop or run.loop, FREE_FLAGS, has_batch_norm)


def changed(run, **flags):
    """The state with which the same run would begin under other flags."""
    return dataclasses.replace(run.loop, flags=run.flags | flags)


def test_auto_begins_anew_where_there_is_no_state_and_continues_where_there_is(tmp_path, saved):
    assert find(make_run(tmp_path, run_id="new")) == (None, [])
    loaded, notices = find(saved)
    assert loaded.content["loop"]["step"] == 4
    assert notices == []


def test_must_continues_and_ends_where_there_is_no_state(tmp_path, saved):
    assert find(saved, "must")[0].content["loop"]["step"] == 4
    with pytest.raises(DataError, match=r"there is no run to continue: no .*new.state\.pt"):
        find(make_run(tmp_path, run_id="new"), "must")


def test_never_begins_anew_and_moves_all_of_the_former_run_aside(tmp_path, saved):
    loaded, (notice,) = find(saved, "never")
    assert loaded is None
    (folder,) = tmp_path.glob("run.20*")
    assert notice == f"moved aside: {folder}"
    assert {path.name for path in folder.iterdir()} >= {"state.pt", "config.yaml", "run.pt"}
    assert not saved.files.model.exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [("results", "{}"), ("metrics", "step\n1\n"), ("model", "no model file")],
)
def test_what_is_left_of_a_run_without_a_state_is_moved_aside(tmp_path, name, content):
    run = make_run(tmp_path)
    getattr(run.files, name).write_text(content)
    loaded, notices = find(run)
    assert loaded is None
    assert len(notices) == 1
    assert not getattr(run.files, name).exists()


def test_flags_that_change_the_result_are_refused_with_both_values_and_a_free_name(saved):
    with pytest.raises(InputError, match=r"--lr was 0\.001, is 0\.2") as refusal:
        find(saved, loop=changed(saved, lr=0.2, device="cpu"))
    message = str(refusal.value)
    assert "device" not in message
    assert "Train another run with: python train.py --lr 0.2 --run_id run-2," in message
    assert "--resume never" in message


def test_a_run_may_grow_but_not_shrink(saved):
    assert find(saved, loop=changed(saved, num_total_iterations=11))[0]
    with pytest.raises(InputError, match="--num_total_iterations was 10, is 9"):
        find(saved, loop=changed(saved, num_total_iterations=9))


def test_other_images_are_refused_with_their_folder(saved):
    other = dataclasses.replace(changed(saved, data_dir_root="elsewhere"), data_hash="other")
    other.flags["data_dir_root"] = saved.flags["data_dir_root"]
    with pytest.raises(InputError, match=r"was trained on other images than those in \./emnist"):
        find(saved, loop=other)


DIVIDED = {"batch_size": 2, "grad_accum_steps": 4}


@pytest.fixture
def division_is_free(monkeypatch):
    """As the flags of the program say; where it matters is decided by the network."""
    monkeypatch.setattr(sys.modules[__name__], "FREE_FLAGS", FREE_FLAGS | DIVIDED.keys())


@pytest.mark.usefixtures("division_is_free")
def test_a_step_may_be_divided_into_other_micro_batches_unless_batch_norm_would_see_it(saved):
    divided = changed(saved, **DIVIDED)
    assert find(saved, loop=divided)[0]
    with pytest.raises(InputError, match=r"normalises 8 images at a time \(BatchNorm\) and .* 2"):
        find(saved, loop=divided, has_batch_norm=True)


@pytest.mark.usefixtures("division_is_free")
def test_another_number_of_processes_is_reported_where_batch_norm_sees_it(saved):
    halved = changed(saved, batch_size=4)
    assert find(saved, loop=halved)[1] == []
    (notice,) = find(saved, loop=halved, has_batch_norm=True)[1]
    assert "BatchNorm normalises 4 images at a time, and 8 before" in notice


def test_the_number_of_images_in_a_step_must_stay_the_same(saved):
    other = dataclasses.replace(saved.loop, samples_per_step=16)
    with pytest.raises(InputError, match="draws 8 images a step and this start would draw 16"):
        find(saved, loop=other)


def test_code_that_has_changed_is_reported_with_the_way_to_train_anew(saved):
    (notice,) = find(saved, loop=dataclasses.replace(saved.loop, code_hash="other"))[1]
    assert "code has changed" in notice
    assert "--resume never" in notice


def test_the_hash_of_the_code_depends_on_what_is_computed_and_not_on_comments(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(resume, "PACKAGE", tmp_path)
    monkeypatch.setattr(resume, "COMPUTING", ("train.py", "models"))
    (tmp_path / "models").mkdir()
    (tmp_path / "train.py").write_text("x = 1\n")
    model = tmp_path / "models" / "small.py"
    hashes = []
    for code in ("y = -x\n", "y = -x  # negative\n\n", "y = x\n"):
        model.write_text(code)
        hashes.append(code_hash())
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_model_file_of_another_run_is_refused_with_both_names(tmp_path, saved):
    other = make_run(tmp_path, run_id="other", model_name="run.pt")
    with pytest.raises(InputError, match=r"run\.pt belongs to the run run: give the run other"):
        find(other)
    saved.files.config.unlink()  # the claim; the model file itself names its run
    with pytest.raises(InputError, match=r"run\.pt belongs to the run run") as refusal:
        find(other)
    assert "python train.py --lr 0.2 --run_id other-2" in str(refusal.value)
    assert saved.files.model.exists()


def test_a_file_that_is_no_model_is_moved_aside_also_when_the_run_continues(tmp_path, saved):
    saved.files.model.write_text("notes")
    loaded, (notice,) = find(saved)
    assert loaded.content["loop"]["step"] == 4
    (folder,) = tmp_path.glob("run.20*")
    assert notice == f"moved aside: {folder}"
    assert [path.name for path in folder.iterdir()] == ["run.pt"]
    assert (folder / "run.pt").read_text() == "notes"


def without(content, key):
    return {name: value for name, value in content.items() if name != key}


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (lambda loop: None, "not subscriptable"),
        (lambda loop: without(loop, "flags"), "'flags'"),
        (lambda loop: without(loop, "code_hash"), "'code_hash'"),
        (lambda loop: loop | {"flags": "lr"}, "no attribute"),
        (lambda loop: loop | {"flags": loop["flags"] | {"num_total_iterations": "x"}}, "not supp"),
    ],
)
def test_a_state_that_was_edited_is_refused_in_one_line(saved, edit, fault):
    content = checkpoint.load(saved.files.state, FORMAT)
    checkpoint.save(saved.files.state, content | {"loop": edit(content["loop"])})
    with pytest.raises(DataError, match=rf"state\.pt .* wrong type .*{fault}") as refusal:
        find(saved)
    assert "\n" not in str(refusal.value)
    assert "--resume never" in str(refusal.value)


def test_a_corrupt_newest_state_is_reported(saved):
    saved.loop.step = 5
    saved.save()
    saved.files.state.write_bytes(b"")
    (notice,) = find(saved)[1]
    assert notice.startswith("warning: ")
    assert "is corrupt" in notice


def test_flags_that_a_newer_program_has_are_not_those_of_the_run(saved):
    newer = changed(saved, **make_flags(), more=1)
    with pytest.raises(InputError, match="--more was None, is 1"):
        find(saved, loop=newer)
