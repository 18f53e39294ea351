import os

import pytest
import torch

from tinkering.runtime.threads import limit_threads, num_allowed_cores


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
    monkeypatch.setattr("tinkering.runtime.threads.num_allowed_cores", lambda: allowed)
    limit_threads(batch_size)
    assert threads[-1] == expected


def test_what_the_user_has_set_stays(monkeypatch, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    limit_threads(1)
    assert threads == [8]
