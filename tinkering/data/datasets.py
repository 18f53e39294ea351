"""torchvision's MNIST, Fashion-MNIST, KMNIST and EMNIST, mended where they hurt."""

import string
from pathlib import Path

from torch import Tensor

from tinkering.data import idx as sources
from tinkering.models.vision import torchvision

# 15 letters, alike in both cases, are one class each in bymerge and balanced.
FORTY_SEVEN = string.digits + string.ascii_uppercase + "abdefghnqrt"
EMNIST_CLASSES = {
    "byclass": string.digits + string.ascii_uppercase + string.ascii_lowercase,
    "bymerge": FORTY_SEVEN,
    "balanced": FORTY_SEVEN,
    "letters": string.ascii_lowercase,
    "digits": string.digits,
    "mnist": string.digits,
}


class _Mended:
    """Mixed into torchvision's MNIST family: its names and addresses, our way to the files.

    torchvision takes any file that exists for a whole one, unpacks all six splits of EMNIST
    to get at one, and reads into memory what can be mapped.
    """

    _file_prefix = property(lambda self: "train" if self.train else "t10k")
    _first_label = 0

    def __init__(self, root: Path, train: bool, may_write: bool = True, **kwargs: object):
        self._may_write = may_write
        super().__init__(root, train=train, **kwargs)

    def _check_legacy_exist(self) -> bool:
        return False  # a processed/*.pt of an old torchvision cannot be verified

    def _check_exists(self) -> bool:
        return True  # load_idx finds out, file by file

    def _folders(self) -> list[Path]:
        raw = Path(self.raw_folder)  # <root>/<data set>/raw
        return [raw, raw.parent]

    def _download(self, name: str) -> sources.Download:
        md5 = dict(self.resources)[f"{name}.gz"]
        return sources.Download(
            [f"{mirror}{name}.gz" for mirror in self.mirrors], md5, f"{name}.gz"
        )

    def _load_data(self) -> tuple[Tensor, Tensor]:
        loaded = []
        for kind in ("images-idx3", "labels-idx1"):
            name = f"{self._file_prefix}-{kind}-ubyte"
            source = self._folders(), self._download(name)
            loaded.append(sources.load_idx(name, *source, self._may_write))
        images, labels = loaded
        return images, labels.long() - self._first_label


class MNIST(_Mended, torchvision.datasets.MNIST):
    classes = tuple(string.digits)

    def _folders(self) -> list[Path]:
        # Fashion-MNIST and KMNIST have the same file names, so theirs may not lie at the top.
        return [*super()._folders(), Path(self.root)]


class FashionMNIST(_Mended, torchvision.datasets.FashionMNIST):
    pass


class KMNIST(_Mended, torchvision.datasets.KMNIST):
    pass


class EMNIST(_Mended, torchvision.datasets.EMNIST):
    """EMNIST (Cohen et al. 2017, arXiv 1702.05373), upright and with its letters counted from 0."""

    _file_prefix = torchvision.datasets.EMNIST._file_prefix

    def __init__(self, root: Path, train: bool, split: str, may_write: bool = True):
        self._first_label = 1 if split == "letters" else 0
        super().__init__(root, train, may_write, split=split)
        self.classes = EMNIST_CLASSES[split]

    def _folders(self) -> list[Path]:
        folders = [*super()._folders(), Path(self.root)]
        return folders + [folder / "gzip" for folder in folders]  # as the archive unpacks

    def _download(self, name: str) -> sources.Download:
        return sources.Download([self.url], self.md5, "gzip.zip")

    def _load_data(self) -> tuple[Tensor, Tensor]:
        images, labels = super()._load_data()
        return images.transpose(1, 2), labels  # every image in the files lies on its side


def open_family(
    dataset: str, root: Path, emnist_split: str, train: bool, may_write: bool = True
) -> _Mended:
    """A data set by name: its data uint8 (N, H, W), targets int64 (N,), and classes."""
    if dataset == "emnist":
        return EMNIST(root, train, emnist_split, may_write)
    family = {"mnist": MNIST, "fashion_mnist": FashionMNIST, "kmnist": KMNIST}
    return family[dataset](root, train, may_write)
