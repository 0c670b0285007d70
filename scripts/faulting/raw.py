"""Requests as no client would send them: bytes on a socket."""

import socket
import time
from collections.abc import Iterable

from scripts.faulting.answer import Answer

_ANSWERED_WITHIN_S = 20.0
_PIECE_BYTES = 65_536


def exchange(port: int, head: str, pieces: Iterable[bytes] = (), *, pause_s: float = 0.0) -> Answer:
    """Send a head and, piece by piece, what follows; the first answer, however much was taken."""
    since_s = time.monotonic()
    heard = b""
    with socket.create_connection(("127.0.0.1", port), timeout=_ANSWERED_WITHIN_S) as connection:
        try:
            connection.sendall(head.replace("\n", "\r\n").encode("latin-1"))
            for piece in pieces:
                connection.sendall(piece)
                if pause_s:
                    time.sleep(pause_s)
        except OSError:
            # The server has hung up: perhaps it has answered before.
            pass
        try:
            while b"\r\n\r\n" not in heard or len(heard) < _whole(heard):
                piece = connection.recv(_PIECE_BYTES)
                if not piece:
                    break
                heard += piece
        except OSError:
            pass
    return answer_of(heard, took_s=time.monotonic() - since_s)


def chunked(pieces: Iterable[bytes]) -> Iterable[bytes]:
    """The pieces as chunks of a body whose length nobody tells."""
    for piece in pieces:
        yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    yield b"0\r\n\r\n"


def _whole(heard: bytes) -> int:
    head, _, _ = heard.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(head) + 4 + int(line.partition(b":")[2])
    return len(heard)


def answer_of(heard: bytes, *, took_s: float = 0.0) -> Answer:
    """The answer that these bytes are."""
    head, _, body = heard.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else None
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return Answer(status=status, headers=headers, body=body, took_s=took_s)
