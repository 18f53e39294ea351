"""The ways to damage a file.

A way is a function of the file at a path that chooses its places by the generator it is given.
"""

import gzip
import os
import pickle
import stat
import struct
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from numpy.random import Generator

Damage = Callable[[Path, Generator], object]

NUM_IMAGES = 40  # in the files of the formats
SECTOR = 512  # bytes that a disk loses together
WEB_PAGES = (
    b"<!DOCTYPE html><html><body>moved</body></html>",
    b"\n  <html><head><title>404 Not Found</title></head></html>\n",
    b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
)


def pack(content: bytes) -> bytes:
    return gzip.compress(content, 1, mtime=0)


# To any file


def cut_off(path: Path, rng: Generator) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.integers(1, len(content))])


def nothing_in_it(path: Path, _rng: Generator) -> None:
    path.write_bytes(b"")


def web_page(path: Path, rng: Generator) -> None:
    path.write_bytes(WEB_PAGES[rng.integers(len(WEB_PAGES))])


def noise(path: Path, rng: Generator) -> None:
    path.write_bytes(rng.bytes(path.stat().st_size))


def more_at_the_end(path: Path, rng: Generator) -> None:
    path.write_bytes(path.read_bytes() + rng.bytes(rng.integers(1, SECTOR)))


def folder_in_its_place(path: Path, _rng: Generator) -> None:
    path.unlink()
    path.mkdir()


def link_to_nowhere(path: Path, _rng: Generator) -> None:
    path.unlink()
    path.symlink_to("gone")


def flipped_bit(path: Path, rng: Generator, size: int | None = None) -> None:
    """Anywhere, or in the first `size` bytes."""
    content = bytearray(path.read_bytes())
    content[rng.integers(size or len(content))] ^= 1 << rng.integers(8)
    path.write_bytes(content)


def lost_sector(path: Path, rng: Generator) -> None:
    content = bytearray(path.read_bytes())
    start = rng.integers(len(content)) // SECTOR * SECTOR
    end = min(start + SECTOR, len(content))
    content[start:end] = bytes(end - start)
    path.write_bytes(content)


# To IDX files


def flipped_bit_in_header(path: Path, rng: Generator) -> None:
    flipped_bit(path, rng, size=16)


def other_magic(path: Path, rng: Generator) -> None:
    magic = [0, 0, rng.choice([9, 11, 12, 13, 14]), rng.choice([0, 3, 4, 255])]
    path.write_bytes(bytes(magic) + path.read_bytes()[4:])


def absurd_size(path: Path, rng: Generator) -> None:
    """Billions of images, stated by a file of its usual size."""
    packed = path.suffix == ".gz"
    content = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
    content[4:8] = struct.pack(">I", rng.integers(2**31, 2**32))
    path.write_bytes(pack(content) if packed else content)


def bomb(path: Path, rng: Generator) -> None:
    """Append more zeros than fit into memory, packed into a file of some megabytes."""
    zeros = pack(bytes(10**7))
    path.write_bytes(path.read_bytes() + zeros * int(rng.integers(100, 200)))


def packed_web_page(path: Path, rng: Generator) -> None:
    path.write_bytes(pack(WEB_PAGES[rng.integers(len(WEB_PAGES))]))


def lost_labels(path: Path, rng: Generator) -> None:
    labels = path.read_bytes()[8:][: rng.integers(1, NUM_IMAGES)]
    path.write_bytes(struct.pack(">HBBI", 0, 8, 1, len(labels)) + labels)


def impossible_label(path: Path, rng: Generator) -> None:
    content = bytearray(path.read_bytes())
    content[8 + rng.integers(NUM_IMAGES)] = rng.integers(10, 256)
    path.write_bytes(content)


def images_in_their_place(path: Path, _rng: Generator) -> None:
    path.write_bytes(path.with_name("train-images-idx3-ubyte").read_bytes())


# To archives


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rezip(
    path: Path,
    members: Iterable[tuple[str, bytes]],
    method: int = zipfile.ZIP_DEFLATED,
    mode: int = stat.S_IFREG | 0o644,
) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)  # of a fixed date: the same bytes at every run
            info.create_system = 3  # Unix, whose file modes can tell links
            info.external_attr = mode << 16
            archive.writestr(info, content, method)


def member_in_twice(path: Path, rng: Generator) -> None:
    members = members_of(path)
    again = {f"again/{Path(name).name}": rng.bytes(100) for name in members}
    rezip(path, [*members.items(), *again.items()])


def members_lost(path: Path, rng: Generator) -> None:
    members = list(members_of(path).items())
    del members[rng.integers(len(members))]
    rezip(path, members)


def members_that_are_folders(path: Path, _rng: Generator) -> None:
    rezip(path, [(f"{name}/", b"") for name in members_of(path)])


def members_that_are_links(path: Path, _rng: Generator) -> None:
    targets = [(name, b"../../target") for name in members_of(path)]
    rezip(path, targets, mode=stat.S_IFLNK | 0o777)


def members_with_climbing_names(path: Path, rng: Generator) -> None:
    start = rng.choice(["../", "../../", f"{path.parent}/", "/"])
    rezip(path, [(f"{start}{Path(name).name}", data) for name, data in members_of(path).items()])


def other_method(path: Path, rng: Generator) -> None:
    method = rng.choice([zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    rezip(path, members_of(path).items(), method=int(method))


def unknown_method(path: Path, rng: Generator) -> None:
    _set_in_headers(path, 2, int(rng.integers(20, 90)))


def encrypted(path: Path, _rng: Generator) -> None:
    _set_in_headers(path, 0, 1)


def _set_in_headers(path: Path, offset: int, value: int) -> None:
    """A number in all headers of a zip: 0 bytes after their flags (for these), or 2 (method)."""
    content = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        start = content.find(signature)
        while start >= 0:
            struct.pack_into("<H", content, start + flags + offset, value)
            start = content.find(signature, start + 1)
    path.write_bytes(content)


def bomb_inside(path: Path, _rng: Generator) -> None:
    zeros = pack(bytes(10**7)) * 100
    rezip(path, [(name, data + zeros) for name, data in members_of(path).items()])


# To what torch.save has written


class Runs:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def code_that_runs(path: Path, rng: Generator) -> None:
    content = {**torch.load(path, weights_only=True), "arch": Runs(path.with_name("has run"))}
    if rng.integers(2):
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))


def other_format(path: Path, rng: Generator) -> None:
    content = torch.load(path, weights_only=True)
    del content["format"]
    torch.save({**content, **[{}, {"format": 99}, {"format": None}][rng.integers(3)]}, path)


def other_file_of_ours(path: Path, _rng: Generator) -> None:
    torch.save({"format": 1, "model": {}}, path)


def not_a_dict(path: Path, rng: Generator) -> None:
    torch.save([["a", "list"], torch.zeros(3), 7, None][rng.integers(4)], path)
