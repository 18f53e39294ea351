"""The tables of docs/performance.md, and what the benchmarks behind them count."""

import pytest
import torch

from benchmarks import gpu, performance, scaling


def test_the_cost_of_plots_has_a_column_for_each_width():
    figures = {"widths": {"64": {"slower in all, %": 0.5}, "16": {"slower in all, %": 0.61}}}
    table = performance.plotting_table(figures).splitlines()
    assert table[0] == "| what | width 64 | width 16 |"
    assert table[2] == "| slower in all, % | 0.5 | 0.61 |"


def test_scaling_is_set_against_one_core_of_the_same_width():
    first, both = "width 16, processes x threads: 1 x 1", "width 16, processes x threads: 2 x 1"
    other = "width 64, processes x threads: 1 x 1"
    rounds = [{first: 100.0, both: 180.0, other: 20.0}, {first: 200.0, both: 320.0, other: 30.0}]
    table = performance.scaling_table({"rounds": rounds})
    assert f"| {both} | 250 | 180 to 320 | 1.7 | 1.6 to 1.8 |" in table
    assert f"| {other} | 25 | 20 to 30 | 1 | 1 to 1 |" in table


@pytest.mark.parametrize(
    ("num_cores", "expected"),
    [(1, {(1, 1)}), (2, {(1, 1), (1, 2), (2, 1)}), (4, {(1, 1), (1, 4), (2, 2), (4, 1)})],
)
def test_the_cores_are_shared_in_every_way(num_cores, expected):
    assert set(scaling.shares(num_cores)) == expected


def test_without_a_cuda_device_there_is_nothing_to_measure(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(gpu.sys, "argv", ["gpu.py"])
    with pytest.raises(SystemExit, match="there is no CUDA device here"):
        gpu.main()


def test_an_images_operations_are_those_known_of_the_network():
    assert gpu._operations(1) == pytest.approx(1.24e9, rel=0.02)  # forward and backward
    assert gpu._operations(3) == 3 * gpu._operations(1)
