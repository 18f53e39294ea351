"""Downloads: with a bar and time limits, checked, and renamed only when they are whole."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from tinkering.errors import DataError, WriteError
from tinkering.files import replace_file

CHUNK = 1 << 20  # bytes
TIMEOUT = (5, 30)  # seconds to wait for a connection, and for the next bytes
BYTES = {"unit": "B", "unit_scale": True, "disable": None}  # a bar, where there is a terminal


class Download(NamedTuple):
    """A file to download."""

    filename: str  # on this machine
    # URLs in the order in which they are tried, and the checksum of what each sends, as pooch
    # writes it: "md5:..." or "sha256:..."
    addresses: Mapping[str, str]


def fetch(download: Download, folder: Path) -> Path:
    """Download a file into a folder, from the first of its addresses that gives it.

    It gets its name only when its checksum is right; several processes may do so at once.

    Raises:
        DataError: no address gives it, or the folder cannot be written.
    """
    import requests

    path = folder / download.filename
    failures = []
    for url, checksum in download.addresses.items():
        print(f"downloading {url}", file=sys.stderr)
        try:
            _download(url, checksum, path)
        except WriteError as error:
            raise DataError(f"cannot write into {folder}: {error.strerror}") from error
        except requests.RequestException as error:
            failures.append(f"{url}: {_reason(error)}")
        except ValueError:
            failures.append(f"{url}: the checksum of what it sends is wrong")
        else:
            return path
    raise DataError(
        f"{download.filename} is not on this machine and could not be downloaded "
        f"({'; '.join(failures)}). Put the file by hand into {folder.absolute()}, "
        "or train on drawn characters, which need no files: --dataset glyphs"
    )


def _download(url: str, checksum: str, path: Path) -> None:
    import pooch  # only here: no run but the first one downloads
    from pooch.hashes import hash_matches

    # The downloader sets the total; without one the bar would be false, and not used.
    with tqdm(total=1, desc=path.name, **BYTES) as bar, replace_file(path) as file:
        pooch.HTTPDownloader(bar, chunk_size=CHUNK, timeout=TIMEOUT)(url, file, None)
        hash_matches(file.name, checksum, strict=True)


def _reason(error: Exception) -> str:
    """Say why a request failed, without the wrappers around the cause."""
    import requests
    from urllib3.exceptions import ReadTimeoutError

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.ConnectTimeout):
        return f"no answer in {TIMEOUT[0]} s"
    # A server that falls silent in the middle of a file is a ConnectionError to requests.
    if isinstance(error, requests.Timeout) or isinstance(error.args[0], ReadTimeoutError):
        return f"no answer in {TIMEOUT[1]} s"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return str(error)
