"""Processes of this machine are asked in the clear, and whoever does not answer is not well."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from scripts import nearby
from scripts.children import free_port


class Says(BaseHTTPRequestHandler):
    """The status that stands in the path."""

    def do_GET(self):
        self.send_response(int(self.path.removeprefix("/")))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        """Nothing."""


@pytest.fixture
def address():
    with HTTPServer(("127.0.0.1", 0), Says) as server:
        threading.Thread(target=server.serve_forever, args=[0.01]).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("status", "well"), [(200, True), (204, False), (404, False), (503, False)])
def test_200_alone_is_well(address, status, well):
    assert nearby.get(f"{address}/{status}").status_code == status
    assert nearby.is_well(f"{address}/{status}") is well


def test_who_does_not_listen_is_not_well():
    assert not nearby.is_well(f"http://127.0.0.1:{free_port()}/200")


def test_no_certificate_is_trusted():
    assert nearby.CLEAR.check_hostname
    assert nearby.CLEAR.get_ca_certs() == []
    with pytest.raises(httpx.ConnectError):
        nearby.get(f"https://127.0.0.1:{free_port()}/")
