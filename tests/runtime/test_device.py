import os
import subprocess
import sys

import pytest
import torch

from tinkering.errors import InputError
from tinkering.runtime import device
from tinkering.runtime.device import (
    choose_device,
    choose_precision,
    limit_threads,
    num_allowed_cores,
)


def test_the_processor_is_always_there():
    assert choose_device("cpu") == torch.device("cpu")


def test_auto_takes_an_accelerator_if_there_is_one():
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    if torch.backends.mps.is_available():
        expected = "mps"
    assert choose_device("auto").type == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(InputError, match=r"--device cuda: not available; choose one of .*cpu"):
        choose_device("cuda")


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16"), ({"avx2": True}, "fp32")],
)
def test_auto_precision_goes_by_what_the_processor_has(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert choose_precision("auto", torch.device("cpu")).name == expected


@pytest.mark.parametrize(("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_the_forward_pass_has_the_precision_and_the_weights_stay_float32(name, dtype):
    precision = choose_precision(name, torch.device("cpu"))
    layer = torch.nn.Linear(2, 2)
    for _ in range(2):  # the context can be entered again
        with precision.autocast:
            assert layer(torch.zeros(1, 2)).dtype == dtype
    assert layer.weight.dtype == torch.float32
    assert not precision.scaler.is_enabled()


def test_fp16_is_refused_where_there_is_no_cuda():
    with pytest.raises(InputError, match="needs a CUDA device"):
        choose_precision("fp16", torch.device("cpu"))


@pytest.fixture
def cores():
    return len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "100000 100000"}, 1),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "max 100000"}, 1000),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 1000),
        ({"cpu.max": "what is this"}, 1000),
        ({}, 1000),
    ],
)
def test_a_container_is_allowed_the_time_it_is_given(tmp_path, cores, files, expected):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content + "\n")
    assert num_allowed_cores(tmp_path) == min(cores, expected)


@pytest.fixture
def threads(monkeypatch):
    """The threads that torch was told to take; it has 8."""
    told = [8]
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: told[-1])
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    return told


@pytest.mark.parametrize(
    ("allowed", "batch_size", "expected"), [(8, 64, 8), (3, 64, 3), (8, 2, 2), (64, 64, 8)]
)
def test_there_are_no_more_threads_than_cores_allowed_or_images_in_a_batch(
    monkeypatch, threads, allowed, batch_size, expected
):
    monkeypatch.setattr(device, "num_allowed_cores", lambda: allowed)
    limit_threads(batch_size)
    assert threads[-1] == expected


def test_what_the_user_has_set_stays(monkeypatch, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    limit_threads(1)
    assert threads == [8]


PROGRAM = """
import resource, torch
from tinkering.models.small import LeNet5
from tinkering.runtime.device import keep_freed_memory

keep_freed_memory()
model, images = LeNet5(), torch.zeros(256, 1, 28, 28)

def steps(number):  # -> pages that the system had to give
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(number):
        model(images).sum().backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(steps(5), steps(5))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is Linux's")
def test_memory_that_a_step_frees_is_there_for_the_next_without_the_system():
    shown = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    ).stdout
    first_pages, later_pages = map(int, shown.split())
    assert first_pages > 4000
    assert later_pages < 2000  # otherwise more than 10,000
