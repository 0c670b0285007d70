"""Answering for another thread: the server takes an answer from any thread, but does not hand out whom to tell it."""

import sys
from types import FrameType
from typing import Protocol, cast


class ServerProtocol(Protocol):
    """How the server is told an answer; any thread may do so, and only the first answer counts."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Status, headers and body of the answer."""
        ...


def protocol_of_server() -> ServerProtocol | None:
    """What the server keeps to itself, a few calls up; None where another server or a test calls."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - no other way leads there
    while frame is not None:
        if frame.f_code.co_name == "_runner":
            return cast("ServerProtocol | None", frame.f_locals.get("proto"))
        frame = frame.f_back
    return None
