"""Archives that are not NIST's, or no longer whole."""

import gzip
import os
import stat
import zipfile

import pytest

from tests.helpers import IDX_ELEMENTS, IDX_NAME, idx_bytes, load_idx_from, zip_files
from tinkering.errors import DataError


def link(name):
    info = zipfile.ZipInfo(name)
    info.create_system = 3  # Unix
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


packed = gzip.compress(idx_bytes(IDX_ELEMENTS))
member = f"gzip/{IDX_NAME}.gz"
UNFIT = {
    "without the file": ({"readme.txt": b"hello"}, zipfile.ZIP_STORED, "there are 0 files"),
    "with two files of the name": (
        {member: packed, f"old/{IDX_NAME}.gz": packed},
        zipfile.ZIP_STORED,
        "there are 2 files",
    ),
    "with a link in place of the file": (
        {link(member): b"../../target"},
        zipfile.ZIP_STORED,
        "a folder or a link",
    ),
    "with a folder in place of the file": (
        {f"{member}/": b""},
        zipfile.ZIP_STORED,
        "a folder or a link",
    ),
    "of a method that inflates without a bound": (
        {member: packed},
        zipfile.ZIP_BZIP2,
        "another method than deflate",
    ),
}


@pytest.mark.parametrize(("members", "method", "message"), UNFIT.values(), ids=UNFIT)
def test_an_archive_is_refused(tmp_path, members, method, message):
    zip_files(tmp_path / "gzip.zip", members, method)
    with pytest.raises(DataError, match=f"{IDX_NAME}.gz in .*gzip.zip") as refusal:
        load_idx_from(tmp_path, "gzip.zip")
    assert message in str(refusal.value)
    assert os.listdir(tmp_path) == ["gzip.zip"]


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [(8, 1, "is encrypted"), (10, 99, "another method than deflate"), (6, 99, "is damaged")],
    ids=["an encrypted member", "an unknown method", "a version of the format yet to come"],
)
def test_an_archive_is_refused_for_what_its_directory_says(tmp_path, offset, value, message):
    zip_files(tmp_path / "gzip.zip", {member: packed})
    content = bytearray((tmp_path / "gzip.zip").read_bytes())
    content[content.index(b"PK\1\2") + offset] = value
    (tmp_path / "gzip.zip").write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_idx_from(tmp_path, "gzip.zip")
    assert os.listdir(tmp_path) == ["gzip.zip"]


def test_an_archive_that_is_cut_off_is_refused(tmp_path):
    zip_files(tmp_path / "gzip.zip", {f"gzip/{IDX_NAME}.gz": packed})
    whole_archive = (tmp_path / "gzip.zip").read_bytes()
    (tmp_path / "gzip.zip").write_bytes(whole_archive[:-30])
    with pytest.raises(DataError, match=r"gzip.zip is damaged"):
        load_idx_from(tmp_path, "gzip.zip")


def test_an_archive_with_a_flipped_bit_in_its_member_is_refused(tmp_path):
    zip_files(tmp_path / "gzip.zip", {f"gzip/{IDX_NAME}.gz": packed})
    content = bytearray((tmp_path / "gzip.zip").read_bytes())
    content[content.index(packed) + len(packed) - 12] ^= 1
    (tmp_path / "gzip.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"gzip.zip is damaged"):
        load_idx_from(tmp_path, "gzip.zip")
    assert os.listdir(tmp_path) == ["gzip.zip"]
