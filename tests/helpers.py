"""What tests share: small data sets in the real format, and the program run as a user runs it."""

import gzip
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from tinkering.data.loader import ImageDataset

ROOT = Path(__file__).parent.parent
METRICS_HEADER = (
    "step,epoch,lr,train_loss,train_accuracy,val_loss,val_accuracy,images_per_second,seconds"
)
CLOSED = "http://127.0.0.1:9"  # nobody listens on the discard port: every download fails at once


def idx_bytes(elements: np.ndarray) -> bytes:
    """A uint8 array as an IDX file, by the format's description and not by our own writer."""
    header = struct.pack(">HBB", 0, 8, elements.ndim) + struct.pack(
        f">{elements.ndim}I", *elements.shape
    )
    return header + elements.astype(np.uint8).tobytes()


def write_part(folder: Path, prefix: str, images: np.ndarray, labels: np.ndarray, packed=True):
    """The two files of one part of a data set, as .gz or plain."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, elements in (("images-idx3", images), ("labels-idx1", labels)):
        content = idx_bytes(elements)
        if packed:
            (folder / f"{prefix}-{kind}-ubyte.gz").write_bytes(gzip.compress(content, 1))
        else:
            (folder / f"{prefix}-{kind}-ubyte").write_bytes(content)


def counted_images(num_images: int = 50, **kwargs: object):
    """A data set of 6x6 images whose labels count from 0."""
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (num_images, 6, 6), dtype=np.uint8))
    return ImageDataset(images, torch.arange(num_images), mean=0.25, std=0.5, **kwargs)


def random_part(num_images: int, num_classes: int, seed: int = 0, first_label: int = 0):
    """Images whose class can be learned, by their upright stripes, and labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num_images) % num_classes
    images = rng.integers(0, 60, (num_images, 28, 28))
    for image, label in zip(images, labels, strict=True):
        image[:, label % 28 :: label % 5 + 2] = 250
    return images, labels + first_label


def write_metrics(folder: Path, *rows: str, header: str = METRICS_HEADER) -> Path:
    """A folder of a run with these rows in its metrics.csv; returns the folder."""
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text("\n".join([header, *rows, ""]))
    return folder


def run_program(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    """`python run_gradient_based.py` with these words, in the folder cwd, without a network."""
    cut_off = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), CLOSED)
    return subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "run_gradient_based.py"), *words],
        cwd=cwd,
        env={**os.environ, **cut_off, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
