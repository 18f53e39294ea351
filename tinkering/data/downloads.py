"""Downloads: shown, checked, and there under their name only when they are whole."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from tinkering.errors import DataError

CHUNK = 1 << 20  # bytes
TIMEOUT = (5, 30)  # seconds to wait for a connection, and for the next bytes
BYTES = {"unit": "B", "unit_scale": True, "disable": None}  # a bar, where there is a terminal


class Download(NamedTuple):
    """A file on the net; every address gives the same one."""

    urls: Sequence[str]
    md5: str
    filename: str


def fetch(download: Download, folder: Path) -> Path:
    """Downloads a file into a folder, from the first of its addresses that gives it.

    It gets its name only when its checksum is right.

    Raises:
        DataError: no address gives it, or the folder cannot be written.
    """
    import pooch  # only here: no run but the first one downloads
    import requests

    pooch.get_logger().setLevel("WARNING")  # its word on a download would cut through the bar
    failures = []
    for url in download.urls:
        print(f"downloading {url}", file=sys.stderr)
        # The total is a stand-in until the server has named it: without one a bar is false.
        with tqdm(total=1, desc=download.filename, **BYTES) as bar:
            downloader = pooch.HTTPDownloader(progressbar=bar, timeout=TIMEOUT, chunk_size=CHUNK)
            known = f"md5:{download.md5}"
            try:
                pooch.retrieve(url, known, download.filename, folder, downloader=downloader)
            except requests.RequestException as error:
                failures.append(f"{url}: {_reason(error)}")
            except ValueError:
                failures.append(f"{url}: what came is not the file, its checksum is another")
            except OSError as error:
                raise DataError(f"cannot write into {folder}: {error.strerror or error}") from error
            else:
                path = folder / download.filename
                path.chmod(0o644)  # others may read it, unlike the temporary file that it was
                return path
    raise DataError(
        f"{download.filename} is not on this machine and could not be downloaded "
        f"({'; '.join(failures)}). Put the file by hand into {folder.resolve()}, "
        "or train on what needs no data: --dataset glyphs"
    )


def _reason(error: Exception) -> str:
    """The last cause of a failed request, without the stack of wrappers in front of it."""
    import requests

    if isinstance(error, requests.HTTPError):
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return str(error)
