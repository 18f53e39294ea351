import hashlib
import http.server
import os
import threading

import pytest

from tests.data.test_idx import ELEMENTS, NAME, html, load, packed
from tests.helpers import CLOSED
from tinkering.data.downloads import Download
from tinkering.errors import DataError


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` at every path on loopback, and cuts the line after `cut` bytes."""

    def __init__(self, content: bytes, cut: int | None = None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.cut = content, cut
        self.url = f"http://127.0.0.1:{self.server_address[1]}/{NAME}.gz"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content[: self.server.cut])

    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def _straight_to_loopback(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def md5(content):
    return hashlib.md5(content).hexdigest()


def test_a_file_that_is_nowhere_is_downloaded_from_the_first_address_that_answers(tmp_path):
    with Server(packed) as server:
        addresses = [f"{CLOSED}/{NAME}.gz", server.url]
        download = Download(addresses, md5(packed), f"{NAME}.gz")
        assert load(tmp_path / "data", download).tolist() == ELEMENTS.tolist()
    assert sorted(os.listdir(tmp_path / "data")) == [NAME, f"{NAME}.gz"]


@pytest.mark.parametrize("cut", [0, 10])
def test_a_download_that_breaks_off_is_never_taken_for_whole(tmp_path, cut):
    with Server(packed, cut) as server:
        download = Download([server.url], md5(packed), f"{NAME}.gz")
        with pytest.raises(DataError, match="could not be downloaded"):
            load(tmp_path, download)
    assert os.listdir(tmp_path) == []


def test_a_web_page_in_place_of_the_file_is_known_by_its_checksum(tmp_path):
    with Server(html) as server:
        download = Download([server.url], md5(packed), f"{NAME}.gz")
        with pytest.raises(DataError, match="checksum"):
            load(tmp_path, download)
    assert os.listdir(tmp_path) == []


def test_without_a_network_the_message_names_address_file_folder_and_the_way_out(tmp_path):
    with pytest.raises(DataError) as refusal:
        load(tmp_path / "data")
    for part in (f"{CLOSED}/{NAME}.gz", f"{NAME}.gz is not", str(tmp_path / "data"), "glyphs"):
        assert part in str(refusal.value)
