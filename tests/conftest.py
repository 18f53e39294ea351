"""Settings and fixtures of all tests."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tests.helpers import random_part, write_part

# One thread: two torch processes that share their cores can slow each other a hundredfold.
os.environ["OMP_NUM_THREADS"] = "1"  # of processes that tests start
torch.set_num_threads(1)

# The same examples each time, however slow the machine.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


@pytest.fixture
def mnist_dir(tmp_path: Path) -> Path:
    """A data folder with an MNIST of 300 and 70 images."""
    raw = tmp_path / "data" / "MNIST" / "raw"
    write_part(raw, "train", *random_part(300, 10))
    write_part(raw, "t10k", *random_part(70, 10, seed=1))
    return tmp_path / "data"
