import pytest
import torch

from tinkering.errors import InputError, OutOfMemoryError
from tinkering.runtime.device import choose_device, choose_precision, enough_memory, has_room


def test_the_processor_is_always_there():
    assert choose_device("cpu") == torch.device("cpu")


def test_auto_takes_an_accelerator_if_there_is_one():
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    if torch.backends.mps.is_available():
        expected = "mps"
    assert choose_device("auto").type == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(InputError, match=r"--device cuda: .* there is .*cpu"):
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


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_too_little_memory_is_told_with_what_to_try_next(error):
    with (
        pytest.raises(OutOfMemoryError, match="try --width 8"),
        enough_memory("--width 8"),
    ):
        raise error


def test_other_errors_are_left_as_they_are():
    with pytest.raises(RuntimeError, match="shapes"), enough_memory("--width 8"):
        raise RuntimeError("shapes do not match")


def test_a_processor_has_no_room_of_its_own_for_images():
    assert not has_room(torch.device("cpu"), 0)


@pytest.mark.parametrize(("num_bytes", "expected"), [(499, True), (500, False)])
def test_images_go_to_a_cuda_device_with_twice_their_room(monkeypatch, num_bytes, expected):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1000, 2000))
    assert has_room("cuda", num_bytes) == expected
