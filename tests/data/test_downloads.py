import gzip
import hashlib
import http.server
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.helpers import CLOSED, IDX_ELEMENTS, IDX_NAME, idx_bytes, load_idx_from
from tinkering.data import downloads
from tinkering.errors import DataError

FAR = f"{CLOSED}/{IDX_NAME}.gz"


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` at every path on loopback, and ends or falls silent after `cut` bytes."""

    def __init__(self, content: bytes, cut: int | None = None, silent: bool = False):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.cut, self.silent = content, cut, silent
        self.closing = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/{IDX_NAME}.gz"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.server.silent and not self.server.cut:
            self.server.closing.wait()
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content[: self.server.cut])
        if self.server.silent:
            self.server.closing.wait()

    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def _straight_to_loopback(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


packed = gzip.compress(idx_bytes(IDX_ELEMENTS))


def addresses(*urls, content=packed):
    return dict.fromkeys(urls, f"md5:{hashlib.md5(content).hexdigest()}")


def load(folder, *urls):
    return load_idx_from(folder, addresses=addresses(*urls))


def test_a_file_that_is_nowhere_is_downloaded_from_the_first_address_that_answers(tmp_path):
    with Server(packed) as server:
        assert load(tmp_path / "data", FAR, server.url).tolist() == IDX_ELEMENTS.tolist()
    assert sorted(os.listdir(tmp_path / "data")) == [IDX_NAME, f"{IDX_NAME}.gz"]


def test_each_address_may_have_a_checksum_of_its_own(tmp_path):
    other = gzip.compress(idx_bytes(IDX_ELEMENTS), 1)
    with Server(b"gone") as first, Server(other) as second:
        checksums = addresses(first.url) | addresses(second.url, content=other)
        load_idx_from(tmp_path, addresses=checksums)
    assert (tmp_path / f"{IDX_NAME}.gz").read_bytes() == other


@pytest.mark.parametrize("cut", [0, 10])
def test_a_download_that_breaks_off_is_never_taken_for_whole(tmp_path, cut):
    with Server(packed, cut) as server, pytest.raises(DataError, match="connection broke off"):
        load(tmp_path, server.url)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("sent", [None, 10], ids=["from the start", "in the middle of the file"])
def test_a_server_that_falls_silent_is_said_to_be_silent(tmp_path, monkeypatch, sent):
    monkeypatch.setattr(downloads, "TIMEOUT", (5, 0.1))
    silent = pytest.raises(DataError, match=r"no answer in 0\.1 s")
    with Server(packed, sent, silent=True) as server, silent:
        load(tmp_path, server.url)
    assert os.listdir(tmp_path) == []


def test_a_web_page_in_place_of_the_file_is_known_by_its_checksum(tmp_path):
    page = b"<!DOCTYPE html><html><body>moved</body></html>"
    with Server(page) as server, pytest.raises(DataError, match="checksum"):
        load(tmp_path, server.url)
    assert os.listdir(tmp_path) == []


def test_without_a_network_the_message_names_address_file_folder_and_the_way_out(tmp_path):
    with pytest.raises(DataError) as refusal:
        load(tmp_path / "data", FAR)
    folder = str(tmp_path / "data")
    for part in (f"{FAR}: no connection", f"{IDX_NAME}.gz is not", folder, "glyphs"):
        assert part in str(refusal.value)


def test_processes_that_download_one_file_at_once_all_get_it(tmp_path):
    with Server(packed) as server, ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda _: load(tmp_path, server.url), range(4)))
    assert all(elements.tolist() == IDX_ELEMENTS.tolist() for elements in loaded)
    assert sorted(os.listdir(tmp_path)) == [IDX_NAME, f"{IDX_NAME}.gz"]
