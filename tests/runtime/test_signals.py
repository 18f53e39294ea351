import signal
import time

import pytest

from tinkering.runtime.distributed import Group
from tinkering.runtime.signals import Stopped, Stopper


@pytest.mark.parametrize(
    ("number", "word", "code"), [(signal.SIGINT, "Ctrl-C", 130), (signal.SIGTERM, "SIGTERM", 143)]
)
def test_a_signal_stops_at_once_what_need_not_be_finished(number, word, code):
    with Stopper() as stop, pytest.raises(Stopped):
        signal.raise_signal(number)
    assert stop.is_requested()
    assert (stop.requested, stop.exit_code) == (word, code)


def test_what_is_to_be_finished_is_finished_first():
    finished = False
    with Stopper() as stop:
        with stop.finishing():
            signal.raise_signal(signal.SIGTERM)
            finished = True
        with pytest.raises(Stopped):
            stop.raise_if_requested()
    assert finished


def test_a_second_signal_stops_even_that():
    with Stopper() as stop, stop.finishing():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_without_a_request_nothing_stops():
    with Stopper() as stop:
        stop.raise_if_requested()
    assert not stop.is_requested()


def test_the_end_of_the_time_allowed_stops_with_exit_code_zero():
    with Stopper(max_minutes=0.001) as stop, pytest.raises(Stopped):
        time.sleep(60)
    assert stop.requested == "the end of --max_minutes"
    assert stop.exit_code == 0


def test_a_stop_before_there_is_anything_to_save_ends_the_program_by_its_code(capsys):
    with pytest.raises(SystemExit) as ending, Stopper():
        signal.raise_signal(signal.SIGTERM)
    assert ending.value.code == 143
    assert capsys.readouterr().err == "stopped by SIGTERM; the same command goes on\n"


def test_a_signal_that_comes_while_the_processes_agree_is_not_lost():
    class Interrupted(Group):
        def all_reduce_max(self, number):
            if not number:
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
