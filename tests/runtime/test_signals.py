import signal
import threading
import time

import pytest

import tinkering
from tinkering.cli import process
from tinkering.runtime import signals
from tinkering.runtime.distributed import Group
from tinkering.runtime.signals import Stopped, Stopper


@pytest.fixture
def just_started(monkeypatch):
    """The process under test has started now, not when pytest did."""
    monkeypatch.setattr(signals, "PROCESS_STARTED", time.monotonic())


SIGNALS = pytest.mark.parametrize(
    ("number", "name", "code"), [(signal.SIGINT, "Ctrl-C", 130), (signal.SIGTERM, "SIGTERM", 143)]
)


@SIGNALS
def test_a_signal_stops_at_once_what_need_not_be_finished(number, name, code):
    with Stopper() as stop, pytest.raises(Stopped):
        signal.raise_signal(number)
    assert stop.is_requested()
    assert (stop.requested, stop.exit_code) == (name, code)


def test_what_must_be_finished_is_finished_first():
    finished = False
    with Stopper() as stop:
        with stop.finishing():
            signal.raise_signal(signal.SIGTERM)
            finished = True
        with pytest.raises(Stopped):
            stop.raise_if_requested()
    assert finished


@SIGNALS
def test_a_second_signal_ends_the_program_even_then_by_its_own_code(capsys, number, name, code):
    def be_interrupted_twice():
        with Stopper() as stop, stop.finishing():
            signal.raise_signal(number)
            signal.raise_signal(number)

    with pytest.raises(SystemExit) as ending:
        process.run(be_interrupted_twice)
    assert ending.value.code == code
    assert capsys.readouterr().err == f"error: stopped by {name}\n"


def test_without_a_request_nothing_stops():
    with Stopper() as stop:
        stop.raise_if_requested()
    assert not stop.is_requested()


def test_the_end_of_the_allowed_time_stops_with_exit_code_zero(just_started):
    with Stopper(max_minutes=0.001) as stop, pytest.raises(Stopped):
        time.sleep(60)
    assert stop.requested == "the end of --max_minutes"
    assert stop.exit_code == 0


def test_time_that_ends_while_a_first_request_is_served_changes_nothing(just_started):
    with Stopper(max_minutes=0.001) as stop:
        with stop.finishing():
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.2)
        assert (stop.requested, stop.exit_code) == ("Ctrl-C", 130)


def test_the_allowed_time_begins_with_the_process_and_may_be_over_before_the_run(capsys):
    """What comes before the context, data and imports, has used it up."""
    assert time.monotonic() > tinkering.PROCESS_STARTED
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ending, Stopper(max_minutes=1e-9):
        pytest.fail("the run begins all the same")
    assert ending.value.code == 0
    expected = "stopped by the end of --max_minutes; the same command continues the run\n"
    assert capsys.readouterr().err == expected
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_limit_of_any_length_is_kept(monkeypatch):
    """A thread cannot wait longer than a maximum, and dies if it is told to."""
    intervals = []

    class Timer(threading.Timer):
        def __init__(self, interval, function):
            intervals.append(interval)
            super().__init__(interval, function)

    monkeypatch.setattr(threading, "Timer", Timer)
    with Stopper(max_minutes=1e9):
        pass
    assert intervals == [threading.TIMEOUT_MAX]


def test_a_stop_before_there_is_anything_to_save_ends_the_program_by_its_code(capsys):
    with pytest.raises(SystemExit) as ending, Stopper():
        signal.raise_signal(signal.SIGTERM)
    assert ending.value.code == 143
    assert capsys.readouterr().err == "stopped by SIGTERM; the same command continues the run\n"


def test_a_signal_that_comes_while_the_processes_agree_is_not_lost():
    class Interrupted(Group):
        num_calls = 0

        def all_reduce_max(self, number):
            type(self).num_calls += 1
            if self.num_calls == 2:  # the first is at the beginning
                signal.raise_signal(signal.SIGTERM)
            return number

    with Stopper(group=Interrupted(rank=1, world_size=2)) as stop:
        assert not stop.is_requested()
        assert stop.is_requested()
        assert (stop.requested, stop.exit_code) == ("SIGTERM", 143)


def test_afterwards_signals_do_what_they_did_before():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Stopper(max_minutes=100):
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
