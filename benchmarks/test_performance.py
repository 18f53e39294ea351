"""The tables of docs/performance.md, and what the benchmarks behind them count."""

import pytest

from benchmarks import performance, reliability, scaling


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


@pytest.mark.parametrize("page", [performance, reliability])
def test_a_page_states_the_figures_that_were_measured(page):
    name = page.__name__.rpartition(".")[2]
    assert page.page() == (page.DOCS / f"{name}.md").read_text()
