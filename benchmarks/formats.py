"""The formats that are fed damaged: their sound files, who reads them, and what damages them."""

import struct
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from benchmarks import damages as way
from benchmarks.damages import NUM_IMAGES, Damage, pack, rezip
from tinkering.data.datasets import load_images
from tinkering.runs import checkpoint
from tinkering.runs.state import LoopState, StateFile, TrainState


class Reading(NamedTuple):
    """What a reader has come by."""

    content: object
    warning: str = ""  # of a damaged file, in whose place the one before it was read


class Format(NamedTuple):
    """Files that are read together, and one of them that is damaged."""

    file: str  # the damaged one
    write: Callable[[Path], None]  # sound files into a folder
    read: Callable[[Path], Reading]  # what is in the folder
    damages: Sequence[Damage]
    named: str | None = None  # what a refusal names, where it is not the damaged file
    moved: str | None = None  # where the damaged file is moved when the one before it is read


def idx_files(prefix: str) -> dict[str, bytes]:
    """The images and labels of a small part, as unpacked IDX files by their names."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (NUM_IMAGES, 28, 28), dtype=np.uint8)
    labels = rng.integers(0, 10, NUM_IMAGES, dtype=np.uint8)
    header = struct.pack(">HBB3I", 0, 8, 3, *images.shape)
    return {
        f"{prefix}-images-idx3-ubyte": header + images.tobytes(),
        f"{prefix}-labels-idx1-ubyte": struct.pack(">HBBI", 0, 8, 1, len(labels))
        + labels.tobytes(),
    }


def write_mnist(folder: Path, packed: bool) -> None:
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in idx_files("train").items():
        if packed:
            (raw / f"{name}.gz").write_bytes(pack(content))
        else:
            (raw / name).write_bytes(content)


def write_emnist(folder: Path) -> None:
    files = idx_files("emnist-digits-train")
    members = {f"gzip/{name}.gz": pack(content) for name, content in files.items()}
    path = folder / "EMNIST" / "raw" / "gzip.zip"
    path.parent.mkdir(parents=True)
    rezip(path, {"gzip/readme.txt": b"EMNIST", **members}.items())


def read_part(folder: Path, dataset: str) -> Reading:
    images, labels, _ = load_images(dataset, folder, "digits", "train")
    return Reading((images, labels))


def write_model(folder: Path) -> None:
    torch.manual_seed(0)
    about = {"arch": "linear", "classes": list("012"), "mean": 0.17, "step": 1500}
    checkpoint.save(folder / "model.pt", checkpoint.model_content(nn.Linear(5, 3), **about))


def read_model(folder: Path) -> Reading:
    return Reading(checkpoint.load(folder / "model.pt"))


def write_states(folder: Path, count: int) -> None:
    """The state files of a run that has saved its state `count` times."""
    torch.manual_seed(0)
    model = nn.Linear(5, 3)
    optimizer = torch.optim.AdamW(model.parameters())
    scheduler = LambdaLR(optimizer, lambda step: 1 - step / 100)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    train_state = TrainState(model, optimizer, scheduler, scaler)
    loop = LoopState(flags={"lr": 1e-3})
    for _ in range(count):
        model(torch.rand(4, 5)).sum().backward()
        optimizer.step()
        scheduler.step()
        loop.step += 1
        state_file(folder).save(loop, train_state)


def read_state(folder: Path) -> Reading:
    return Reading(*state_file(folder).load())


def state_file(folder: Path) -> StateFile:
    return StateFile(folder / STATE, folder / "state.previous.pt")


# Which damage each kind of file takes
ANY = (way.cut_off, way.nothing_in_it, way.web_page, way.noise, way.more_at_the_end)
ANY += (way.folder_in_its_place, way.link_to_nowhere)
CHECKED = (*ANY, way.flipped_bit, way.lost_sector)  # of files that have a checksum
IDX = (*ANY, way.flipped_bit_in_header, way.other_magic, way.absurd_size)
LABELS = (way.lost_labels, way.impossible_label, way.images_in_their_place)
GZ = (*CHECKED, way.absurd_size, way.bomb, way.packed_web_page)
ZIP = (*CHECKED, way.bomb_inside, way.member_in_twice, way.members_lost)
ZIP += (way.members_that_are_folders, way.members_that_are_links)
ZIP += (way.members_with_climbing_names, way.other_method, way.unknown_method, way.encrypted)
SAVED = (*CHECKED, way.members_lost, way.code_that_runs, way.other_format, way.not_a_dict)
STATES = (*SAVED, way.other_file_of_ours)

RAW = "MNIST/raw/train"
STATE = "state.pt"
mnist, emnist = partial(read_part, dataset="mnist"), partial(read_part, dataset="emnist")
plain, packed = partial(write_mnist, packed=False), partial(write_mnist, packed=True)
one, two = partial(write_states, count=1), partial(write_states, count=2)
FORMATS = {
    "idx": Format(f"{RAW}-images-idx3-ubyte", plain, mnist, IDX),
    "labels": Format(f"{RAW}-labels-idx1-ubyte", plain, mnist, LABELS, named="."),
    "gz": Format(f"{RAW}-images-idx3-ubyte.gz", packed, mnist, GZ),
    "zip": Format("EMNIST/raw/gzip.zip", write_emnist, emnist, ZIP),
    "model": Format("model.pt", write_model, read_model, SAVED),
    "only state": Format(STATE, one, read_state, STATES),
    "newest state": Format(STATE, two, read_state, STATES, moved="state.damaged"),
}
