import subprocess
import sys

import pytest

PROGRAM = """
import resource, torch
from tinkering.runtime.allocator import keep_freed_memory
from tinkering.models import build

keep_freed_memory()
model, images = build("resnet4stage", {"width": 16}), torch.zeros(32, 1, 28, 28)

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
    assert first_pages > 5000
    assert later_pages < 2000  # otherwise more than 10,000
