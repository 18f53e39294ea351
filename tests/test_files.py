"""Files that appear whole or not at all, whoever else writes, is killed or has no locks."""

import errno
import os
import stat
import subprocess
import sys
import time

import pytest

from tests.helpers import ROOT
from tinkering.errors import WriteError
from tinkering.files import remove_parts, replace_file

KILLED_WRITER = """
import os, sys
from pathlib import Path
from tinkering.files import replace_file
with replace_file(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), 9)
"""


def names(folder):
    return sorted(os.listdir(folder))


def leave_part(path):
    """What a killed writer of `path` leaves."""
    part = path.with_name(f".{path.name}.{'0' * 16}.part")
    part.write_bytes(b"half")
    return part


@pytest.fixture
def _no_locks(monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_a_file_is_replaced_and_the_old_one_kept_where_that_is_asked_for(tmp_path):
    path = tmp_path / "new" / "a.txt"
    for content in (b"1", b"2"):
        with replace_file(path, keep=path.with_name("old.txt")) as file:
            file.write(content)
    assert path.read_bytes() == b"2"
    assert path.with_name("old.txt").read_bytes() == b"1"
    assert names(path.parent) == ["a.txt", "old.txt"]


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"old")
    with pytest.raises(TypeError), replace_file(tmp_path / "a.txt") as file:
        file.writelines([b"new", None])
    assert (tmp_path / "a.txt").read_bytes() == b"old"
    assert names(tmp_path) == ["a.txt"]


def test_two_writers_of_one_file_do_not_disturb_each_other(tmp_path):
    """In one process: in two containers, processes may have equal numbers."""
    path = tmp_path / "a.txt"
    with replace_file(path) as slow:
        slow.write(b"slow")
        with replace_file(path) as fast:
            fast.write(b"fast")
        assert path.read_bytes() == b"fast"
    assert path.read_bytes() == b"slow"
    assert names(tmp_path) == ["a.txt"]


def test_the_half_written_file_of_a_running_process_is_never_removed(tmp_path):
    with replace_file(tmp_path / "a.txt") as file:
        file.write(b"whole")
        remove_parts(tmp_path)
    assert (tmp_path / "a.txt").read_bytes() == b"whole"


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path):
    path = tmp_path / "a.txt"
    command = [sys.executable, "-c", KILLED_WRITER, str(path)]
    subprocess.run(command, cwd=ROOT, check=False)
    assert len(names(tmp_path)) == 1
    with replace_file(path) as file:
        file.write(b"whole")
    assert names(tmp_path) == ["a.txt"]


def test_files_of_other_names_are_not_taken_for_leftovers(tmp_path):
    others = [leave_part(tmp_path / "a.txt.old"), leave_part(tmp_path / "b[1].txt")]
    others += [tmp_path / "film.mp4.part", tmp_path / ".a.txt.part"]
    for other in others:
        other.write_bytes(b"kept")
    remove_parts(tmp_path, "a.txt")
    assert names(tmp_path) == sorted(other.name for other in others)
    remove_parts(tmp_path, "b[1].txt")
    assert names(tmp_path) == sorted(other.name for other in others if "[" not in other.name)


@pytest.mark.usefixtures("_no_locks")
def test_where_files_cannot_be_locked_only_leftovers_of_a_day_ago_are_removed(tmp_path):
    day_old, fresh = leave_part(tmp_path / "old.txt"), leave_part(tmp_path / "fresh.txt")
    os.utime(day_old, (time.time() - 25 * 3600,) * 2)
    with replace_file(tmp_path / "a.txt") as file:
        remove_parts(tmp_path)
        file.write(b"whole")
    assert names(tmp_path) == sorted([fresh.name, "a.txt"])


def refuse_to_sync_folders(monkeypatch, number):
    sync = os.fsync

    def refuse(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES])
def test_a_file_system_that_cannot_flush_folders_is_written_to(tmp_path, monkeypatch, number):
    refuse_to_sync_folders(monkeypatch, number)
    with replace_file(tmp_path / "a.txt") as file:
        file.write(b"whole")
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_disk_that_fails_while_a_folder_is_flushed_is_an_error(tmp_path, monkeypatch, number):
    refuse_to_sync_folders(monkeypatch, number)
    with pytest.raises(WriteError, match=r"a\.txt"), replace_file(tmp_path / "a.txt"):
        pass
