"""A proxy passes on, cuts and swallows what goes between two processes, and passes on again."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest

from scripts.faulting.proxy import Proxy


@contextmanager
def echo():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=answer, args=(connection,), daemon=True).start()
            except OSError:
                return

        def answer(connection: socket.socket) -> None:
            with connection:
                while piece := connection.recv(100):
                    connection.sendall(piece)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy():
    with echo() as port:
        proxy = Proxy(port)
        proxy.start()
        yield proxy
        proxy.stop()


def said(connection, words=b"hello"):
    """What comes back; nothing where the connection is cut."""
    try:
        connection.sendall(words)
        return connection.recv(100)
    except ConnectionError:
        return b""


def test_a_proxy_passes_on_cuts_swallows_and_passes_on_again(proxy):
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
        assert said(connection) == b"hello"
        proxy.blackhole()
        connection.sendall(b"late")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(100)
        proxy.clear()
        connection.settimeout(5)
        assert connection.recv(100) == b"late"
        proxy.cut()
        assert said(connection) == b""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
        assert said(connection) == b""
        proxy.clear()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
        assert said(connection) == b"hello"


def test_whoever_gave_up_while_a_proxy_swallowed_is_never_let_in():
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = Proxy(server.getsockname()[1])
        proxy.start()
        proxy.blackhole()
        for words in (b"", b"gave up"):
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
                connection.sendall(words)
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
            connection.sendall(b"waits")
            time.sleep(0.2)
            proxy.clear()
            server.settimeout(5)
            with server.accept()[0] as arrived:
                assert arrived.recv(100) == b"waits"
        server.settimeout(0.3)
        with pytest.raises(TimeoutError):
            server.accept()
        proxy.stop()
