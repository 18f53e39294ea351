"""Where the files of the data sets are found, and what is in them."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers import CLOSED, REAL_DATA, idx_bytes, random_part, write_emnist, write_part
from tinkering.data import datasets, sources
from tinkering.data.datasets import load_images, pixel_statistics
from tinkering.emnist_dataset import get_emnist_dataloaders
from tinkering.errors import DataError, WriteError


@pytest.mark.parametrize("split", ["bymerge", "balanced"])
def test_letters_alike_in_both_cases_are_one_class(split):
    expected = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"
    assert sources.EMNIST_CLASSES[split] == expected


def test_images_come_upright(tmp_path):
    """The upright stripes of random_part lie in the files, as EMNIST is transposed there."""
    write_emnist(tmp_path, "digits")
    images, labels, _ = load_images("emnist", tmp_path, "digits", "test")
    expected, _ = random_part(130, 10, seed=1)
    assert np.array_equal(images.numpy(), expected)
    assert images[3, :, labels[3]].min() == 250


@pytest.mark.skipif(not REAL_DATA.exists(), reason="no real handwriting beside this checkout")
@pytest.mark.parametrize(("letter", "open_below"), [("u", False), ("n", True)])
def test_real_letters_are_upright_too(tmp_path, letter, open_below):
    """A u is open above and an n below; lying on their sides both would be open sideways."""
    label = ord(letter) - ord("a")
    (path,) = (REAL_DATA / "emnist_letters_26").glob(f"*label{label}.png")
    pixels = np.array(Image.open(path))[None]
    write_part(tmp_path, "emnist-letters-train", pixels, np.array([label + 1]))
    images, labels, classes = load_images("emnist", tmp_path, "letters", "train")
    above, below = (images[0, rows, 11:17].float().mean() for rows in (slice(14), slice(14, 28)))
    assert classes[labels[0]] == letter
    assert (above > 2 * below) if open_below else (below > 2 * above)


@pytest.mark.parametrize(
    "place", ["EMNIST/raw", "EMNIST/raw/gzip", "EMNIST", "EMNIST/gzip", ".", "gzip"]
)
@pytest.mark.parametrize("packed", [True, False])
def test_files_are_found_wherever_torchvision_or_unpacking_leaves_them(tmp_path, place, packed):
    write_emnist(tmp_path / place, "digits", packed=packed)
    train, *_ = get_emnist_dataloaders(tmp_path, emnist_split="digits")
    assert len(train.dataset) == 140


@pytest.mark.parametrize("place", ["EMNIST/raw", "EMNIST", "."])
def test_nists_archive_is_found_and_only_the_split_asked_for_is_unpacked(tmp_path, place):
    write_emnist(tmp_path / "packed", "digits")
    write_emnist(tmp_path / "packed", "letters")
    folder = tmp_path / "data" / place
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "gzip.zip", "w") as archive:
        for file in (tmp_path / "packed").iterdir():
            archive.write(file, f"gzip/{file.name}")
    train, *_ = get_emnist_dataloaders(tmp_path / "data", emnist_split="letters")
    assert len(train.dataset) == 140
    assert len(os.listdir(folder)) == 5
    assert all(name == "gzip.zip" or "letters" in name for name in os.listdir(folder))


@pytest.mark.parametrize(
    ("dataset", "folder"),
    [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST"), ("kmnist", "KMNIST")],
)
def test_the_rest_of_the_family_is_read_from_its_own_folder(tmp_path, dataset, folder):
    for part, num_images in (("train", 30), ("t10k", 20)):
        write_part(tmp_path / folder / "raw", part, *random_part(num_images, 10))
    train, test, num_classes, class_to_idx = get_emnist_dataloaders(tmp_path, dataset=dataset)
    assert (len(train.dataset), len(test.dataset), num_classes) == (30, 20, 10)
    assert len(class_to_idx) == 10
    images, _, _ = load_images(dataset, tmp_path, "byclass", "test")
    assert np.array_equal(images.numpy(), random_part(20, 10)[0])


def test_mnists_files_at_the_top_are_not_taken_for_fashion_mnist(tmp_path, monkeypatch):
    for part in ("train", "t10k"):
        write_part(tmp_path, part, *random_part(20, 10))
    assert len(load_images("mnist", tmp_path, "byclass", "train")[1]) == 20
    nowhere = sources.PUBLICATIONS["fashion_mnist"]._replace(mirrors=(f"{CLOSED}/",))
    monkeypatch.setitem(sources.PUBLICATIONS, "fashion_mnist", nowhere)
    with pytest.raises(DataError, match="could not be downloaded"):
        load_images("fashion_mnist", tmp_path, "byclass", "train")


def test_counts_of_images_and_labels_that_differ_are_refused(tmp_path):
    write_part(tmp_path, "train", random_part(20, 10)[0], random_part(19, 10)[1])
    with pytest.raises(DataError, match="20 images, 19 labels"):
        load_images("mnist", tmp_path, "byclass", "train")


@pytest.mark.parametrize(("split", "label"), [("digits", 10), ("letters", 0), ("letters", 27)])
def test_labels_out_of_range_are_refused(tmp_path, split, label):
    images, labels = random_part(20, 10, first_label=1 if split == "letters" else 0)
    labels[7] = label
    write_part(tmp_path, f"emnist-{split}-train", images, labels)
    with pytest.raises(DataError, match="labels from"):
        load_images("emnist", tmp_path, split, "train")


@pytest.mark.parametrize(
    ("dataset", "prefix"), [("mnist", "train"), ("emnist", "emnist-digits-train")]
)
def test_labels_in_place_of_images_are_refused(tmp_path, dataset, prefix):
    for kind in ("images-idx3", "labels-idx1"):
        (tmp_path / f"{prefix}-{kind}-ubyte").write_bytes(idx_bytes(np.zeros(20)))
    with pytest.raises(DataError, match="not images and labels"):
        load_images(dataset, tmp_path, "digits", "train")


@pytest.mark.parametrize("packed", [True, False])
def test_a_file_of_the_published_size_must_have_the_published_content(tmp_path, packed):
    """Another data set's, or a flipped bit; images of other sizes are a user's own."""
    images, labels = random_part(20, 10)[0], np.arange(10_000) % 10
    write_part(tmp_path, "t10k", images, labels, packed)
    with pytest.raises(DataError, match=r"t10k-labels.* is not the official file: its checksum"):
        load_images("mnist", tmp_path, "byclass", "test")


def test_any_content_in_emnists_format_is_accepted(tmp_path):
    images = np.ones((10_000, 28, 28))
    write_part(tmp_path, "emnist-mnist-test", images, np.arange(10_000) % 10, packed=False)
    assert len(load_images("emnist", tmp_path, "mnist", "test")[1]) == 10_000


def test_a_loop_of_links_in_place_of_the_data_folder_is_refused(tmp_path):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(DataError, match=r"cannot read .*loop.*: Too many levels"):
        load_images("mnist", loop, "byclass", "train")
    with pytest.raises(WriteError, match="loop"):
        load_images("glyphs", loop, "digits", "test")


def test_a_folder_that_may_not_be_read_is_refused_and_nothing_is_downloaded(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    # The superuser may read anything, so the system's answer has to be given for it.
    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(DataError, match=r"cannot read .*: Permission denied"):
        load_images("mnist", tmp_path, "byclass", "train")


def test_glyphs_are_drawn_once_and_kept(tmp_path, monkeypatch):
    monkeypatch.setitem(datasets.NUM_GLYPHS, "test", 20)
    drawn, labels, classes = load_images("glyphs", tmp_path, "letters", "test")
    monkeypatch.setitem(datasets.NUM_GLYPHS, "test", 30)
    kept, *_ = load_images("glyphs", tmp_path, "letters", "test")
    assert torch.equal(kept, drawn)
    assert (len(labels), len(classes)) == (20, 26)


@pytest.mark.skipif(not REAL_DATA.exists(), reason="no real files beside this checkout")
@pytest.mark.parametrize(
    ("dataset", "folder", "statistics"),
    [("mnist", "MNIST", (0.1307, 0.3081)), ("kmnist", "KMNIST", (0.1918, 0.3483))],
)
def test_real_files_have_their_checksums_and_the_statistics_that_the_field_knows(
    tmp_path, dataset, folder, statistics
):
    raw = tmp_path / folder / "raw"
    raw.mkdir(parents=True)
    for file in (REAL_DATA / folder / "raw").iterdir():
        (raw / file.name).symlink_to(file)
    images, labels, _ = load_images(dataset, tmp_path, "byclass", "train")
    assert len(labels) == 60_000
    assert pixel_statistics(images) == pytest.approx(statistics, abs=5e-5)
