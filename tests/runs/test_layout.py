import os
import subprocess
import sys
import threading

import pytest

from tests.helpers import make_flags
from tinkering.errors import DataError, InputError
from tinkering.files import replace_file
from tinkering.runs.layout import RunFiles, run_names


def files_of(save_path, run_id="a", model_name="a.pt"):
    files = RunFiles(save_path, run_id, model_name)
    files.prepare()
    return files


# Names


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        ({}, ("resnet_emnist", "resnet_emnist.pt")),
        ({"width": 16, "emnist_split": "letters"}, ("resnet_emnist", "resnet_emnist.pt")),
        (
            {"dataset": "mnist", "width": 16},
            ("mnist-resnet4stage-w16", "mnist-resnet4stage-w16.pt"),
        ),
        ({"arch": "lenet5"}, ("emnist-lenet5", "emnist-lenet5.pt")),
        ({"arch": "timm:resnet18.a1"}, ("emnist-timm-resnet18.a1", "emnist-timm-resnet18.a1.pt")),
        ({"run_id": "x"}, ("x", "x.pt")),
        ({"model_name": "y.pt"}, ("y", "y.pt")),
        ({"run_id": "x", "model_name": "y.pt", "dataset": "mnist"}, ("x", "y.pt")),
    ],
)
def test_a_name_that_is_not_given_follows_from_the_other_or_from_data_set_and_network(flags, names):
    unnamed = make_flags() | {"run_id": None, "model_name": None, "dataset": "emnist"}
    assert run_names(unnamed | flags) == names


def test_a_free_run_id_belongs_to_no_run_and_no_model(tmp_path):
    files = files_of(tmp_path)
    assert files.free_run_id() == "a-2"
    files_of(tmp_path, "a-2", "x.pt")
    (tmp_path / "a-3.pt").touch()
    assert files.free_run_id() == "a-4"


@pytest.mark.parametrize("other", ["a.previous", "a.damaged", "a.state", "state", "b", "A"])
def test_no_file_of_a_run_is_one_of_another(tmp_path, other):
    """Apart from the model file, which is claimed."""

    def paths(files):
        return {path for path in vars(files).values() if path not in (files.run_id, tmp_path)}

    assert not paths(files_of(tmp_path)) & paths(files_of(tmp_path, other, f"{other}.pt"))


@pytest.mark.parametrize("name", ["a", "a.pt"])
def test_a_model_file_may_not_have_the_name_of_a_folder(tmp_path, name):
    (tmp_path / "a.pt").mkdir()
    with pytest.raises(InputError, match=f"{name} is .*folder"):
        files_of(tmp_path, "a", name)


# Trying what will be written


def test_the_folders_are_made_and_nothing_is_left_in_them(tmp_path):
    files = files_of(tmp_path / "new" / "runs")
    assert [path for path in files.save_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("run_id", ["a", "n" * 300])
def test_a_folder_that_cannot_be_made_is_refused_before_training(tmp_path, run_id):
    (tmp_path / "file").touch()
    save_path = tmp_path / "file" if run_id == "a" else tmp_path
    with pytest.raises(InputError, match="cannot write"):
        files_of(save_path, run_id)


def test_a_model_name_that_is_too_long_to_be_written_is_refused_before_training(tmp_path):
    with pytest.raises(InputError, match=r"cannot write .*File name too long"):
        files_of(tmp_path, model_name=f"{'n' * 245}.pt")


@pytest.mark.parametrize("save_path", ["file", "file/runs", "gone", "loop"])
def test_a_check_finds_what_cannot_be_a_folder_and_writes_nothing(tmp_path, save_path):
    (tmp_path / "file").touch()
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="cannot write"):
        RunFiles(tmp_path / save_path, "a", "a.pt").check()
    RunFiles(tmp_path / "new", "a", "a.pt").check()
    assert sorted(tmp_path.rglob("*")) == before


# The model file


def claim(save_path, run_id, model_name, quote=""):
    """Do what a run does when it begins."""
    config = f"lr: 0.1\nmodel_name: {quote}{model_name}{quote}\nrun_id: {run_id}\nseed: 0\n"
    files_of(save_path, run_id, model_name).claim(config)


def test_a_model_file_that_another_run_has_claimed_is_refused_with_both_names(tmp_path):
    claim(tmp_path, "a", "model.pt")
    with pytest.raises(InputError, match=r"model\.pt belongs to the run a: give the run b a"):
        claim(tmp_path, "b", "model.pt")
    claim(tmp_path, "b", "b.pt")
    claim(tmp_path, "a", "model.pt")


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_a_claim_counts_however_yaml_quotes_it(tmp_path, quote):
    claim(tmp_path, "a", "1.pt", quote)
    with pytest.raises(InputError, match="belongs to the run a"):
        claim(tmp_path, "b", "1.pt")


def test_a_run_that_was_moved_aside_claims_nothing(tmp_path):
    claim(tmp_path, "a", "model.pt")
    former = files_of(tmp_path, "a", "model.pt")
    former.set_aside(*former.former_files())
    claim(tmp_path, "b", "model.pt")
    assert "model_name: model.pt" in (tmp_path / "b" / "config.yaml").read_text()


def test_of_runs_that_claim_a_model_file_at_once_one_gets_it(tmp_path):
    refused = []

    def try_to_claim(run_id):
        try:
            claim(tmp_path, run_id, "model.pt")
        except InputError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=try_to_claim, args=[f"run{n}"]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 3
    assert len(list(tmp_path.glob("*/config.yaml"))) == 1


# The former run


def test_all_of_a_former_run_is_moved_into_one_new_folder(tmp_path):
    files = files_of(tmp_path)
    for path in (files.state, files.previous_state, files.metrics, files.samples, files.model):
        path.write_text(path.name)
    with files.locked():
        target = files.set_aside(*files.former_files())
    assert target.parent == tmp_path
    assert target.name.startswith("a.20")
    left = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert left == {"state.pt", "state.previous.pt", "metrics.csv", "plots/samples.png", "a.pt"}
    assert not files.model.exists()
    assert [path.name for path in files.folder.iterdir()] == ["lock"]


def test_nothing_is_overwritten_however_often_a_run_is_moved_aside_in_a_second(tmp_path):
    files = files_of(tmp_path)
    for number in range(4):
        files.state.write_text(str(number))
        files.set_aside(*files.former_files())
    states = sorted(path.read_text() for path in tmp_path.glob("a.20*/state.pt"))
    assert states == ["0", "1", "2", "3"]


def test_results_or_metrics_without_a_state_are_those_of_a_former_run(tmp_path):
    files = files_of(tmp_path)
    assert not files.has_former_run()
    files.metrics.write_text("step,loss\n")
    assert not files.has_former_run()
    files.metrics.write_text("step,loss\n1,0.5\n")
    assert files.has_former_run()
    files.metrics.unlink()
    files.results.write_text("{}")
    assert files.has_former_run()


# The lock

HOLD = """
import sys, time
from pathlib import Path
from tinkering.runs.layout import RunFiles
files = RunFiles(Path(sys.argv[1]), "a", "a.pt")
files.prepare()
with files.locked():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def holder(tmp_path_factory):
    """A process that keeps the run `a` locked, and the folder."""
    folder = tmp_path_factory.mktemp("locked")
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process, folder
        process.kill()


def test_a_second_run_of_one_id_is_refused_with_the_process_of_the_first(holder):
    process, folder = holder
    with (
        pytest.raises(InputError, match=f"being trained by process {process.pid}"),
        files_of(folder).locked(),
    ):
        pass
    with files_of(folder, "b", "b.pt").locked():
        pass


def test_the_lock_of_a_dead_process_does_not_count(holder):
    process, folder = holder
    process.kill()
    process.wait()
    owner = folder / "a" / "lock.pid"
    assert owner.read_text() == str(process.pid)
    with files_of(folder).locked():
        assert owner.read_text() == str(os.getpid())


def test_a_lock_ends_with_its_block(tmp_path):
    owner = tmp_path / "a" / "lock.pid"
    for _ in range(2):
        with files_of(tmp_path).locked():
            assert owner.read_text() == str(os.getpid())
        assert not owner.exists()


def test_an_error_of_the_run_is_not_hidden_by_a_folder_that_can_no_longer_be_written(tmp_path):
    """A folder in place of the file cannot be removed, as on a disk that became read-only."""
    owner = tmp_path / "a" / "lock.pid"

    def run():
        with files_of(tmp_path).locked():
            owner.unlink()
            owner.mkdir()
            raise DataError("the run's own")

    with pytest.raises(DataError, match="the run's own"):
        run()


def test_the_half_written_file_of_a_running_process_is_left_alone(tmp_path):
    """Even by a run that is going to be refused because it names the same model file."""
    files = files_of(tmp_path, "a", "model.pt")
    with replace_file(files.model) as file:
        file.write(b"whole")
        with files_of(tmp_path, "b", "model.pt").locked():
            pass
    assert files.model.read_bytes() == b"whole"
