"""A TCP proxy between a host and one of its servers, which can be cut: the network of that host, as a test sees it."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_CHUNK_BYTES = 65536


class Proxy:
    """Passes bytes on in both directions until it is cut; then it closes what is open and takes nothing new."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """The cable is out."""
        with self._lock:
            self._cut = True
            lost, self._open = self._open, set()
        for one in lost:
            _close(one)

    def heal(self) -> None:
        """And in again."""
        with self._lock:
            self._cut = False

    def close(self) -> None:
        self.cut()
        _close(self._server)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._connect, args=[connection], daemon=True).start()

    def _connect(self, connection: socket.socket) -> None:
        if self._cut:
            _close(connection)
            return
        try:
            onward = socket.create_connection(self._target)
        except OSError:
            _close(connection)
            return
        with self._lock:
            pair = set() if self._cut else {connection, onward}
            self._open |= pair
        if not pair:
            _close(connection)
            _close(onward)
            return
        threading.Thread(target=self._pump, args=[connection, onward], daemon=True).start()
        self._pump(onward, connection)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(_CHUNK_BYTES):
                sink.sendall(part)
        for one in (source, sink):
            with self._lock:
                self._open.discard(one)
            _close(one)


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@contextmanager
def proxied(host: str, port: int) -> Iterator[Proxy]:
    """A proxy while the block lasts."""
    proxy = Proxy(host, port)
    try:
        yield proxy
    finally:
        proxy.close()
