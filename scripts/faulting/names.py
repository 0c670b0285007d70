"""The rig's own resolver: names that lead where the driver says at the moment, in every process that asks here."""

import socket
from typing import Any

from scripts.faulting.failpoints import failpoints


def resolve_as_told() -> None:
    """From now on this process finds names of the rig where the driver says, and all others where they are."""
    points, known = failpoints(), socket.getaddrinfo

    def found(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        told = points.names().get(host) if isinstance(host, str) else None
        if told is None:
            return known(host, port, *args, **kwargs)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (told, port or 0))]

    socket.getaddrinfo = found
