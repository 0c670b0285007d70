"""A guard that lets tests talk to this machine only."""

import ipaddress
import sys
from collections.abc import Sequence


class OffMachineError(RuntimeError):
    """A test tried to reach another machine."""


def _is_local(host: object) -> bool:
    if not isinstance(host, str) or host in {"", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_other_machines(event: str, arguments: Sequence[object]) -> None:
    """An audit hook: it sees every connection of this process, whichever library makes it."""
    if event == "socket.connect":
        address = arguments[1]
        # A Unix socket's address is a path, not a tuple.
        if isinstance(address, tuple) and not _is_local(address[0]):
            raise OffMachineError(f"a test may only connect to this machine, not to {address[0]}")
    elif event == "socket.getaddrinfo" and not _is_local(arguments[0]):
        raise OffMachineError(f"a test may only look up this machine, not {arguments[0]}")


def install() -> None:
    """Guard this process to its end; hooks cannot be taken out again."""
    sys.addaudithook(refuse_other_machines)
