"""The classes of the data sets, where their files are published, and their checksums."""

import string
from typing import NamedTuple

from tinkering.data.downloads import Download

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
EMNIST_ARCHIVE = Download(
    "gzip.zip",
    {  # NIST's, and the authors' own: two archives of the same files
        "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip": (
            "md5:58c8d27c78d21e728a6bc7b3cc06412e"
        ),
        "https://rds.westernsydney.edu.au/Institutes/MARCS/BENS/EMNIST/emnist-gzip.zip": (
            "sha256:909a2a39c5e86bdd7662425e9b9c4a49bb582bf8d0edad427f3c3a9d0c6f7259"
        ),
    },
)


MNIST_SIZES = {  # bytes when unpacked
    "train-images-idx3-ubyte": 47_040_016,
    "train-labels-idx1-ubyte": 60_008,
    "t10k-images-idx3-ubyte": 7_840_016,
    "t10k-labels-idx1-ubyte": 10_008,
}


class Publication(NamedTuple):
    """A data set in the four files of MNIST, by their names and sizes."""

    folder: str  # in the data folder
    classes: str  # the name of each label, divided by commas
    mirrors: tuple[str, ...]  # addresses of folders with the .gz files
    md5: tuple[str, ...]  # of the .gz of each file, in the order of MNIST_SIZES
    sha256: tuple[str, ...]  # of the unpacked files


PUBLICATIONS = {
    "mnist": Publication(
        "MNIST",
        "0,1,2,3,4,5,6,7,8,9",
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        md5=(
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
        sha256=(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    "fashion_mnist": Publication(
        "FashionMNIST",
        "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot",
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        md5=(
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
        sha256=(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    "kmnist": Publication(
        "KMNIST",
        "o,ki,su,tsu,na,ha,ma,ya,re,wo",
        ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        md5=(
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ),
        sha256=(
            "7112ba9ec422d98de4885262d4a4dff14cc4fefb81c11ace8bf563a8255df5c3",
            "2a16eeae62da984b8bd24fa32e31d47291f01dac3fe84d5594f304f71e7d374b",
            "76fbd229ce87db80dd281af5e6670de4ad0e42fb30a7bd643972994c47c1f42e",
            "a11dc742be8e781a40a92f53d6a4957e7b7d36df2faa097659131ebfd8fd60c6",
        ),
    ),
}
