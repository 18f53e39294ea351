import pytest
import torch

from benchmarks.damage import (
    KINDS,
    ONE_BEFORE,
    REFUSED,
    failures_of,
    feed,
)
from tinkering.runs import checkpoint

COUNT = max(60, len(KINDS))


@pytest.fixture(scope="module")
def outcomes():
    return feed(COUNT, seed=0)


def test_a_damaged_file_is_refused_by_name_or_read_as_what_it_was_or_passed_over(outcomes):
    assert failures_of(outcomes) == []


def test_in_place_of_a_damaged_newest_state_the_one_before_is_read(outcomes):
    newest = [o.verdict for o in outcomes if o.kind.startswith("newest state")]
    others = [o.verdict for o in outcomes if not o.kind.startswith("newest state")]
    assert newest.count(ONE_BEFORE) > len(newest) / 2
    assert REFUSED not in newest
    assert ONE_BEFORE not in others


def test_a_reader_that_runs_what_it_reads_and_checks_nothing_is_found_out(monkeypatch):
    monkeypatch.setattr(checkpoint, "load", lambda path, *_: torch.load(path, weights_only=False))
    without_states = [name for name, _ in KINDS if "state" not in name]  # these come last
    verdicts = {o.kind: o.verdict for o in feed(len(without_states), seed=0)}
    assert "new: has run" in verdicts["model: code that runs"]
    assert "read as something else" in verdicts["model: other format"]
    assert "EOFError" in verdicts["model: nothing in it"]
    assert verdicts["gz: nothing in it"] == REFUSED
