import gzip
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers import CLOSED, idx_bytes
from tinkering.data import idx as sources
from tinkering.errors import DataError

NAME = "train-images-idx3-ubyte"
ELEMENTS = np.arange(2 * 3 * 4).reshape(2, 3, 4)
NOWHERE = sources.Download([f"{CLOSED}/{NAME}.gz"], "0" * 32, f"{NAME}.gz")
ZIP = sources.Download([f"{CLOSED}/gzip.zip"], "0" * 32, "gzip.zip")


def load(folder, download=NOWHERE):
    return sources.load_idx(NAME, [folder], download)


def files_in(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def zipped(folder, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(folder / "gzip.zip", "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_an_unpacked_file_is_read_as_it_is(tmp_path):
    (tmp_path / NAME).write_bytes(idx_bytes(ELEMENTS))
    elements = load(tmp_path)
    assert elements.dtype == torch.uint8
    assert elements.tolist() == ELEMENTS.tolist()
    assert os.listdir(tmp_path) == [NAME]


def test_a_packed_file_is_unpacked_once_beside_it(tmp_path):
    (tmp_path / f"{NAME}.gz").write_bytes(gzip.compress(idx_bytes(ELEMENTS)))
    assert load(tmp_path).tolist() == ELEMENTS.tolist()
    assert (tmp_path / NAME).read_bytes() == idx_bytes(ELEMENTS)
    (tmp_path / f"{NAME}.gz").unlink()
    assert load(tmp_path).tolist() == ELEMENTS.tolist()


def test_of_an_archive_only_the_file_asked_for_is_unpacked(tmp_path):
    packed = gzip.compress(idx_bytes(ELEMENTS))
    zipped(tmp_path, {f"gzip/{NAME}.gz": packed, "gzip/other-images-idx3-ubyte.gz": packed})
    assert load(tmp_path, ZIP).tolist() == ELEMENTS.tolist()
    assert sorted(os.listdir(tmp_path)) == ["gzip.zip", NAME]


def test_a_member_is_unpacked_beside_the_archive_whatever_path_it_states(tmp_path):
    folder = tmp_path / "deep" / "down"
    for stated in ("../../", "/", f"{tmp_path}/"):
        folder.mkdir(parents=True, exist_ok=True)
        zipped(folder, {f"{stated}{NAME}.gz": packed, f"{stated}evil": b"evil"})
        assert load(folder, ZIP).tolist() == ELEMENTS.tolist()
        assert set(files_in(tmp_path)) == {Path("deep/down/gzip.zip"), Path("deep/down") / NAME}
        (folder / NAME).unlink()


def test_the_first_folder_that_has_the_file_gives_it_and_unpacked_comes_before_packed(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    (first / f"{NAME}.gz").write_bytes(gzip.compress(idx_bytes(ELEMENTS)))
    (second / NAME).write_bytes(idx_bytes(ELEMENTS + 1))
    assert sources.load_idx(NAME, [first, second], NOWHERE).tolist() == (ELEMENTS + 1).tolist()


def test_a_packed_file_in_a_folder_that_is_read_only_is_unpacked_in_memory(tmp_path, monkeypatch):
    (tmp_path / f"{NAME}.gz").write_bytes(gzip.compress(idx_bytes(ELEMENTS)))
    # The superuser may write anywhere, so the system's answer has to be given for it.
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.W_OK)
    assert load(tmp_path).tolist() == ELEMENTS.tolist()
    assert os.listdir(tmp_path) == [f"{NAME}.gz"]


def test_changing_what_was_mapped_does_not_change_the_file(tmp_path):
    (tmp_path / NAME).write_bytes(idx_bytes(ELEMENTS))
    load(tmp_path).zero_()
    assert (tmp_path / NAME).read_bytes() == idx_bytes(ELEMENTS)


def test_what_is_saved_is_in_the_format_and_read_back(tmp_path):
    sources.save_idx(tmp_path / "new" / NAME, torch.from_numpy(ELEMENTS.astype(np.uint8)))
    assert (tmp_path / "new" / NAME).read_bytes() == idx_bytes(ELEMENTS)


whole = idx_bytes(ELEMENTS)
packed = gzip.compress(whole)
billions = whole[:4] + struct.pack(">I", 4_000_000_000) + whole[8:]
html = b"<!DOCTYPE html><html><body>moved</body></html>"
BROKEN = {
    "an unpacked file that is cut off": (NAME, whole[:-1], "cut off"),
    "an unpacked file that is too long": (NAME, whole + b"x", "too long"),
    "an unpacked file cut off in its header": (NAME, whole[:9], "cut off inside its header"),
    "an unpacked file with nothing in it": (NAME, b"", "is empty"),
    "an unpacked file of no images": (NAME, idx_bytes(np.zeros((0, 28, 28))), "shape of .0, 28"),
    "an unpacked file of billions of images": (NAME, billions, "shape of .4000000000, "),
    "a wrong magic number": (NAME, b"\0\0\x09" + whole[3:], "not an IDX file"),
    "more dimensions than there can be": (NAME, b"\0\0\x08\x09" + whole[4:], "not an IDX file"),
    "a web page": (NAME, html, "is a web page"),
    "a packed file with nothing in it": (f"{NAME}.gz", b"", "is empty"),
    "a packed file of billions of images": (
        f"{NAME}.gz",
        gzip.compress(billions),
        "shape of .4000000000, ",
    ),
    "a packed file that is cut off": (f"{NAME}.gz", packed[: len(packed) // 2], "is damaged"),
    "a packed file with a flipped bit": (
        f"{NAME}.gz",
        packed[:-6] + bytes([packed[-6] ^ 1]) + packed[-5:],
        "is damaged",
    ),
    "a packed web page": (f"{NAME}.gz", gzip.compress(html), "not an IDX file"),
    "a web page that is called packed": (f"{NAME}.gz", html, "is a web page"),
    "a packed file of less than it states": (f"{NAME}.gz", gzip.compress(whole[:-1]), "cut off"),
    "a packed file of more than it states": (
        f"{NAME}.gz",
        gzip.compress(whole + bytes(10**6)),
        "too long",
    ),
    "a packed file of 4 GB after what it states": (
        f"{NAME}.gz",
        packed + gzip.compress(bytes(10**7)) * 400,
        "too long",
    ),
    "a web page in place of the archive": ("gzip.zip", b"\n  " + html, "is a web page"),
    "an archive with nothing in it": ("gzip.zip", b"", "is empty"),
}


@pytest.mark.parametrize(("filename", "content", "message"), BROKEN.values(), ids=BROKEN)
def test_is_refused_by_name_and_nothing_is_written(tmp_path, filename, content, message):
    (tmp_path / filename).write_bytes(content)
    with pytest.raises(DataError, match=message) as refusal:
        load(tmp_path, ZIP)
    assert str(tmp_path / filename) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert files_in(tmp_path) == {Path(filename): content}


FILENAMES = (NAME, f"{NAME}.gz", "gzip.zip")


@pytest.mark.parametrize("filename", FILENAMES)
def test_a_folder_in_place_of_the_file_is_refused(tmp_path, filename):
    (tmp_path / filename).mkdir()
    with pytest.raises(DataError, match=f"{filename} is a folder"):
        load(tmp_path, ZIP)


@pytest.mark.parametrize("filename", FILENAMES)
def test_a_link_to_nowhere_is_neither_followed_nor_replaced(tmp_path, filename):
    (tmp_path / filename).symlink_to("gone")
    with pytest.raises(DataError, match=f"{filename} is a link that leads to no file"):
        load(tmp_path, ZIP)
    assert os.readlink(tmp_path / filename) == "gone"
    assert os.listdir(tmp_path) == [filename]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / NAME)
    with pytest.raises(DataError, match=f"{NAME} is .* a device"):
        load(tmp_path)


@pytest.mark.parametrize("filename", FILENAMES)
@pytest.mark.parametrize(
    ("error", "cause"),
    [(PermissionError(13, "Permission denied"), "Permission denied"), (OSError("lost"), "lost")],
    ids=["not permitted", "an error without the system's words"],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path, monkeypatch, filename, error, cause):
    (tmp_path / filename).write_bytes(packed)

    def refuse(*_):
        raise error

    # The superuser may read anything, so the system's answer has to be given for it.
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=f"cannot read .*{filename}: {cause}; see to"):
        load(tmp_path, ZIP)


def test_what_cannot_be_unpacked_for_lack_of_space_leaves_nothing_behind(tmp_path, monkeypatch):
    (tmp_path / f"{NAME}.gz").write_bytes(packed)

    def refuse(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(DataError, match=f"unpack .*{NAME}.gz: No space left on device"):
        load(tmp_path)
    assert os.listdir(tmp_path) == [f"{NAME}.gz"]
