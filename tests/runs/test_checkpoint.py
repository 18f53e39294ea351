import json
import math
import os
import pickle

import pytest
import torch

from tinkering.errors import InputError
from tinkering.models import ResNet4StageCustom
from tinkering.runs import checkpoint


@pytest.fixture
def model():
    return ResNet4StageCustom(num_classes=3, width=2)


def test_a_model_file_is_a_dict_that_torch_reads_without_running_code(tmp_path, model):
    path = tmp_path / "new" / "model.pt"
    checkpoint.save(path, checkpoint.model_content(model, classes=["a", "b", "c"], step=7))
    content = torch.load(path, weights_only=True)
    assert content["classes"] == ["a", "b", "c"]
    assert content["step"] == 7
    assert content["versions"]["torch"] == torch.__version__
    assert os.listdir(path.parent) == ["model.pt"]
    again = ResNet4StageCustom(num_classes=3, width=2)
    again.load_state_dict(checkpoint.load(path)["model"])
    images = torch.randn(2, 1, 28, 28)
    assert torch.equal(again.eval()(images), model.eval()(images))


@pytest.mark.filterwarnings("ignore:.*script_method.*:DeprecationWarning")  # torch's own
@pytest.mark.parametrize("wrap", [torch.nn.DataParallel, torch.compile])
def test_weights_have_the_names_of_the_bare_network_however_it_was_wrapped(tmp_path, model, wrap):
    checkpoint.save(tmp_path / "model.pt", checkpoint.model_content(wrap(model)))
    saved = checkpoint.load(tmp_path / "model.pt")["model"]
    assert saved.keys() == model.state_dict().keys()


def test_a_name_that_only_ends_like_that_of_a_wrapper_stays():
    network = torch.nn.Module()
    network.submodule = torch.nn.Linear(2, 2)
    assert checkpoint.plain_state_dict(network).keys() == network.state_dict().keys()


def test_a_write_that_fails_leaves_the_old_file(tmp_path, model):
    path = tmp_path / "model.pt"
    checkpoint.save(path, checkpoint.model_content(model, step=1))
    with pytest.raises((AttributeError, pickle.PicklingError)):
        checkpoint.save(path, checkpoint.model_content(model, step=lambda: "not to be pickled"))
    assert checkpoint.load(path)["step"] == 1
    assert os.listdir(tmp_path) == ["model.pt"]


class Evil:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_code_in_a_file_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"format": 1, "model": Evil()}, tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"model\.pt"):
        checkpoint.load(tmp_path / "model.pt")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x03\x04 cut off"])
def test_another_kind_of_file_is_refused_by_name(tmp_path, content):
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"model\.pt is corrupt"):
        checkpoint.load(tmp_path / "model.pt")


def test_a_file_cut_off_is_refused(tmp_path, model):
    path = tmp_path / "model.pt"
    checkpoint.save(path, checkpoint.model_content(model))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"model\.pt is corrupt"):
        checkpoint.load(path)


def test_a_file_of_another_program_or_format_is_refused(tmp_path):
    for content in ({"state_dict": {}}, {"format": 99}, torch.zeros(2)):
        torch.save(content, tmp_path / "model.pt")
        with pytest.raises(InputError, match="this program reads format 1"):
            checkpoint.load(tmp_path / "model.pt")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*nothing\.pt"):
        checkpoint.load(tmp_path / "nothing.pt")


def test_results_are_json(tmp_path):
    results = {"test_accuracy": 0.5, "note": "é"}
    checkpoint.save_results(tmp_path / "results.json", results)
    assert json.loads((tmp_path / "results.json").read_text()) == results


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_null_in_the_results(tmp_path, loss):
    checkpoint.save_results(tmp_path / "results.json", {"test_loss": loss})
    assert json.loads((tmp_path / "results.json").read_text()) == {"test_loss": None}
