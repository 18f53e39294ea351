import gzip
import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers import IDX_ELEMENTS, IDX_NAME, idx_bytes, load_idx_from, zip_files
from tinkering.data import idx
from tinkering.data.downloads import Download
from tinkering.data.idx import Official, load_idx, save_idx
from tinkering.errors import DataError


def files_in(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_an_unpacked_file_is_read_as_it_is(tmp_path):
    (tmp_path / IDX_NAME).write_bytes(idx_bytes(IDX_ELEMENTS))
    elements = load_idx_from(tmp_path)
    assert elements.dtype == torch.uint8
    assert elements.tolist() == IDX_ELEMENTS.tolist()
    assert os.listdir(tmp_path) == [IDX_NAME]


def test_a_packed_file_is_unpacked_once_beside_it(tmp_path):
    (tmp_path / f"{IDX_NAME}.gz").write_bytes(gzip.compress(idx_bytes(IDX_ELEMENTS)))
    assert load_idx_from(tmp_path).tolist() == IDX_ELEMENTS.tolist()
    assert (tmp_path / IDX_NAME).read_bytes() == idx_bytes(IDX_ELEMENTS)
    (tmp_path / f"{IDX_NAME}.gz").unlink()
    assert load_idx_from(tmp_path).tolist() == IDX_ELEMENTS.tolist()


def test_of_an_archive_only_the_file_asked_for_is_unpacked(tmp_path):
    packed = gzip.compress(idx_bytes(IDX_ELEMENTS))
    zip_files(
        tmp_path / "gzip.zip",
        {f"gzip/{IDX_NAME}.gz": packed, "gzip/other-images-idx3-ubyte.gz": packed},
    )
    assert load_idx_from(tmp_path, "gzip.zip").tolist() == IDX_ELEMENTS.tolist()
    assert sorted(os.listdir(tmp_path)) == ["gzip.zip", IDX_NAME]


def test_a_member_is_unpacked_beside_the_archive_whatever_path_it_states(tmp_path):
    folder = tmp_path / "deep" / "down"
    for stated in ("../../", "/", f"{tmp_path}/"):
        folder.mkdir(parents=True, exist_ok=True)
        zip_files(folder / "gzip.zip", {f"{stated}{IDX_NAME}.gz": packed, f"{stated}evil": b"evil"})
        assert load_idx_from(folder, "gzip.zip").tolist() == IDX_ELEMENTS.tolist()
        assert set(files_in(tmp_path)) == {Path("deep/down/gzip.zip"), Path("deep/down") / IDX_NAME}
        (folder / IDX_NAME).unlink()


def test_the_first_folder_that_has_the_file_gives_it_and_unpacked_comes_before_packed(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    (first / f"{IDX_NAME}.gz").write_bytes(gzip.compress(idx_bytes(IDX_ELEMENTS)))
    (second / IDX_NAME).write_bytes(idx_bytes(IDX_ELEMENTS + 1))
    assert (
        load_idx(IDX_NAME, [first, second], Download("gzip.zip", {})).tolist()
        == (IDX_ELEMENTS + 1).tolist()
    )


def test_a_packed_file_in_a_folder_that_is_read_only_is_unpacked_in_memory(tmp_path, monkeypatch):
    (tmp_path / f"{IDX_NAME}.gz").write_bytes(gzip.compress(idx_bytes(IDX_ELEMENTS)))
    # The superuser may write anywhere, so the system's answer has to be given for it.
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.W_OK)
    assert load_idx_from(tmp_path).tolist() == IDX_ELEMENTS.tolist()
    assert os.listdir(tmp_path) == [f"{IDX_NAME}.gz"]


def test_changing_what_is_mapped_does_not_change_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(idx, "MIN_MAPPED_SIZE", 1)  # only large files are mapped
    (tmp_path / IDX_NAME).write_bytes(idx_bytes(IDX_ELEMENTS))
    elements = load_idx_from(tmp_path)
    assert elements.tolist() == IDX_ELEMENTS.tolist()
    elements.zero_()
    assert (tmp_path / IDX_NAME).read_bytes() == idx_bytes(IDX_ELEMENTS)


def test_a_file_that_is_cut_off_after_it_was_loaded_does_no_harm(tmp_path):
    """A mapped one would end the process; only large ones are mapped."""
    content = idx_bytes(np.zeros((100, 100, 100)))
    (tmp_path / IDX_NAME).write_bytes(content)
    elements = load_idx_from(tmp_path)
    os.truncate(tmp_path / IDX_NAME, 0)
    assert elements.sum() == 0


@pytest.mark.parametrize("may_write", [True, False])
@pytest.mark.parametrize("filename", [IDX_NAME, f"{IDX_NAME}.gz"])
def test_a_file_of_the_official_size_and_other_content_is_refused(tmp_path, filename, may_write):
    official = Official(len(whole), hashlib.sha256(whole).hexdigest())
    download = Download(f"{IDX_NAME}.gz", {})

    def load(content):
        pack = gzip.compress if filename.endswith(".gz") else bytes
        (tmp_path / filename).write_bytes(pack(content))
        return load_idx(IDX_NAME, [tmp_path], download, official, may_write)

    with pytest.raises(DataError, match=f"{filename} is not the official file"):
        load(whole[:-1] + b"?")
    assert os.listdir(tmp_path) == [filename]
    assert load(whole).tolist() == IDX_ELEMENTS.tolist()


def test_a_file_of_another_size_is_a_users_own(tmp_path):
    (tmp_path / IDX_NAME).write_bytes(whole)
    official = Official(len(whole) + 1, "")
    elements = load_idx(IDX_NAME, [tmp_path], Download("gzip.zip", {}), official)
    assert elements.tolist() == IDX_ELEMENTS.tolist()


def test_what_is_saved_is_in_the_format_and_read_back(tmp_path):
    save_idx(tmp_path / "new" / IDX_NAME, torch.from_numpy(IDX_ELEMENTS.astype(np.uint8)))
    assert (tmp_path / "new" / IDX_NAME).read_bytes() == idx_bytes(IDX_ELEMENTS)


whole = idx_bytes(IDX_ELEMENTS)
packed = gzip.compress(whole)
billions = whole[:4] + struct.pack(">I", 4_000_000_000) + whole[8:]
html = b"<!DOCTYPE html><html><body>moved</body></html>"
BROKEN = {
    "an unpacked file that is cut off": (IDX_NAME, whole[:-1], "cut off"),
    "an unpacked file that is too long": (IDX_NAME, whole + b"x", "too long"),
    "an unpacked file cut off in its header": (IDX_NAME, whole[:9], "cut off inside its header"),
    "an unpacked file with nothing in it": (IDX_NAME, b"", "is empty"),
    "an unpacked file of no images": (
        IDX_NAME,
        idx_bytes(np.zeros((0, 28, 28))),
        "shape of .0, 28",
    ),
    "an unpacked file of billions of images": (IDX_NAME, billions, "shape of .4000000000, "),
    "a wrong magic number": (IDX_NAME, b"\0\0\x09" + whole[3:], "not an IDX file"),
    "more dimensions than there can be": (IDX_NAME, b"\0\0\x08\x09" + whole[4:], "not an IDX file"),
    "a web page": (IDX_NAME, html, "is a web page"),
    "a packed file with nothing in it": (f"{IDX_NAME}.gz", b"", "is empty"),
    "a packed file of billions of images": (
        f"{IDX_NAME}.gz",
        gzip.compress(billions),
        "shape of .4000000000, ",
    ),
    "a packed file that is cut off": (f"{IDX_NAME}.gz", packed[: len(packed) // 2], "is damaged"),
    "a packed file with a flipped bit": (
        f"{IDX_NAME}.gz",
        packed[:-6] + bytes([packed[-6] ^ 1]) + packed[-5:],
        "is damaged",
    ),
    "a packed web page": (f"{IDX_NAME}.gz", gzip.compress(html), "not an IDX file"),
    "a web page that is called packed": (f"{IDX_NAME}.gz", html, "is a web page"),
    "a packed file of less than it states": (
        f"{IDX_NAME}.gz",
        gzip.compress(whole[:-1]),
        "cut off",
    ),
    "a packed file of more than it states": (
        f"{IDX_NAME}.gz",
        gzip.compress(whole + bytes(10**6)),
        "too long",
    ),
    "a packed file of 4 GB after what it states": (
        f"{IDX_NAME}.gz",
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
        load_idx_from(tmp_path, "gzip.zip")
    assert str(tmp_path / filename) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert files_in(tmp_path) == {Path(filename): content}


FILENAMES = (IDX_NAME, f"{IDX_NAME}.gz", "gzip.zip")


@pytest.mark.parametrize("filename", FILENAMES)
def test_a_folder_in_place_of_the_file_is_refused(tmp_path, filename):
    (tmp_path / filename).mkdir()
    with pytest.raises(DataError, match=f"{filename} is a folder"):
        load_idx_from(tmp_path, "gzip.zip")


@pytest.mark.parametrize("filename", FILENAMES)
def test_a_link_to_nowhere_is_neither_followed_nor_replaced(tmp_path, filename):
    (tmp_path / filename).symlink_to("gone")
    with pytest.raises(DataError, match=f"{filename} is a link to no file"):
        load_idx_from(tmp_path, "gzip.zip")
    assert os.readlink(tmp_path / filename) == "gone"
    assert os.listdir(tmp_path) == [filename]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / IDX_NAME)
    with pytest.raises(DataError, match=f"{IDX_NAME} is .* a device"):
        load_idx_from(tmp_path)


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
    with pytest.raises(DataError, match=f"cannot read .*{filename}: {cause}; check"):
        load_idx_from(tmp_path, "gzip.zip")


def test_what_cannot_be_unpacked_for_lack_of_space_leaves_nothing_behind(tmp_path, monkeypatch):
    (tmp_path / f"{IDX_NAME}.gz").write_bytes(packed)

    def refuse(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(DataError, match=f"unpack .*{IDX_NAME}.gz: No space left on device"):
        load_idx_from(tmp_path)
    assert os.listdir(tmp_path) == [f"{IDX_NAME}.gz"]
