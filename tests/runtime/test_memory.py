"""Memory that does not suffice is found before it is allocated, and named where it is not."""

import sys

import pytest
import torch

from tinkering.errors import OutOfMemoryError
from tinkering.runtime import memory
from tinkering.runtime.memory import (
    available_memory,
    enough_memory,
    fits_in_memory,
    peak_memory,
)

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_too_little_memory_is_reported_with_what_to_try_next(error):
    with pytest.raises(OutOfMemoryError, match="try --width 8"), enough_memory("--width 8"):
        raise error


def test_other_errors_are_left_as_they_are():
    with pytest.raises(RuntimeError, match="shapes"), enough_memory("--width 8"):
        raise RuntimeError("shapes do not match")


MEMORY_FILES = {
    "version 2": {
        "memory.max": "5000",
        "memory.current": "3000",
        "memory.stat": "anon 9\nactive_file 7\ninactive_file 70",
    },
    "version 1": {
        "memory/memory.limit_in_bytes": "5000",
        "memory/memory.usage_in_bytes": "3000",
        "memory/memory.stat": "total_active_file 7\ntotal_inactive_file 70",
    },
    "no limit": {"memory.max": "max", "memory.current": "3000"},
    "no container": {},
}


@pytest.mark.parametrize(
    ("container", "expected"),
    [("version 2", 2077), ("version 1", 2077), ("no limit", 4096), ("no container", 4096)],
)
def test_what_is_available_is_the_least_of_machine_and_container(
    monkeypatch, tmp_path, container, expected
):
    for name, content in MEMORY_FILES[container].items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content + "\n")
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9 kB\nMemAvailable:       3 kB\nSwapFree:   1 kB\nHugePages: 0\n")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    monkeypatch.setattr(memory, "MEMINFO", meminfo)
    assert available_memory(CPU) == expected


def test_other_systems_do_not_say_what_is_available(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    assert available_memory(CPU) is None


def test_the_peak_on_the_cpu_is_that_of_the_process_whatever_devices_there_are(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda *_: 0)
    assert peak_memory(CPU) > 2**20


def test_the_peak_is_unknown_where_the_system_has_no_module_resource(monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    assert peak_memory(CPU) is None


def test_a_processor_has_no_room_of_its_own_for_images():
    assert not fits_in_memory(CPU, 0)


@pytest.mark.parametrize(("num_bytes", "expected"), [(499, True), (500, False)])
def test_images_go_to_a_cuda_device_with_twice_their_room(monkeypatch, num_bytes, expected):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1000, 2000))
    assert fits_in_memory("cuda", num_bytes) == expected
