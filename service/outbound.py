"""HTTP to addresses that users give: resolved once, checked, pinned; no redirects, no proxies, little time and room."""

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from queue import Empty, SimpleQueue
from typing import Any, Self

import httpcore

from service.addresses import Address, Network, canonical, not_public, within

TOTAL_S = 5.0
MOST_BYTES = 64_000
# To the public internet nothing but TLS, on the ports where HTTP over TLS is at home: no mail server, no database.
PUBLIC_PORTS = (443, 8443)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LONGEST = 2000
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
# One grammar, and what is connected to is made from its parts: no second parser can read another host out of it.
_URL = re.compile(
    rf"(?P<scheme>https?)://(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?"
    r"(?P<target>[/?][!$-;=?-Z_a-z~%\[\]]*)?",
    re.IGNORECASE,
)

Resolve = Callable[[str, float], Sequence[str]]


class RefusedError(Exception):
    """The address may not be called; the message says why and what may."""


class UnsentError(Exception):
    """No answer came. `code`: unresolved, unreachable, tls, timeout, broken."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The parts of an address that is written as it should be."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Host and port as they stand in a request."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What was answered: the status, and the beginning of the body."""

    status: int
    body: bytes


def resolve(host: str, timeout_s: float) -> Sequence[str]:
    """The addresses of a name, as the host's resolver knows them; UnsentError when it knows none in time."""
    found: SimpleQueue[Any] = SimpleQueue()

    def ask() -> None:
        try:
            found.put([str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)])
        except (OSError, UnicodeError):
            found.put([])

    # The resolver has clocks of its own and cannot be told to stop.
    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        addresses = list(dict.fromkeys(found.get(timeout=timeout_s)))
    except Empty:
        addresses = []
    if not addresses:
        raise UnsentError("unresolved", f"The name {host} has no address.")
    return addresses


def place_of(url: str) -> Place:
    """The parts of a URL; RefusedError for what is none that may be called."""
    if len(url) > _LONGEST:
        raise RefusedError(f"Must have at most {_LONGEST} characters.")
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise RefusedError("Must not carry a user or a password.")
    if "#" in url:
        raise RefusedError("Must not have a fragment (#...); it is never sent.")
    match = _URL.fullmatch(url)
    if match is None:
        raise RefusedError(
            "Must be an https address such as https://hooks.example.com/headroom, in ASCII (names in their xn-- form)."
        )
    scheme, host = match["scheme"].lower(), match["host"].strip("[]").lower()
    port = _DEFAULT_PORTS[scheme] if match["port"] is None else int(match["port"])
    try:
        canonical(host)
    except ValueError:
        raise RefusedError("Must write an IP address in its plain form, such as 192.0.2.1 or [2001:db8::1].") from None
    target = match["target"] or "/"
    return Place(scheme=scheme, host=host, port=port, target=target if target[0] == "/" else f"/{target}")


class Outbound:
    """Calls what tenants name. `allowed` are networks inside which the operator lets them call, on any port."""

    def __init__(
        self,
        *,
        allowed: tuple[Network, ...] = (),
        resolver: Resolve = resolve,
        ssl_context: ssl.SSLContext | None = None,
        total_s: float = TOTAL_S,
    ) -> None:
        self._allowed = allowed
        self._resolver = resolver
        self._ssl_context = ssl_context
        self._total_s = total_s

    def check(self, url: str) -> None:
        """Whether it might be called now. RefusedError; UnsentError where its name has no address."""
        self._addresses(place_of(url), self._total_s)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Heard:
        """Send the body, once. RefusedError when it may not be sent there, UnsentError when no answer came."""
        until_s = time.monotonic() + self._total_s
        place = place_of(url)
        pinned = _Pinned(self._addresses(place, self._total_s), until_s=until_s)
        # Any of its steps may take this long; the pinned connection is cut when all of them have.
        timeout = dict.fromkeys(("connect", "read", "write", "pool"), self._total_s)
        sent = [("Host", place.authority), *headers.items()]
        with (
            pinned,
            _in_our_words(pinned),
            self._pool(pinned) as pool,
            pool.stream(
                "POST",
                httpcore.URL(scheme=place.scheme, host=place.host, port=place.port, target=place.target),
                headers=[(name.encode(), value.encode()) for name, value in sent],
                content=body,
                extensions={"timeout": timeout},
            ) as response,
        ):
            return Heard(status=response.status, body=_beginning(response))

    def _pool(self, pinned: "_Pinned") -> httpcore.ConnectionPool:
        if self._ssl_context is None:
            self._ssl_context = ssl.create_default_context()
        return httpcore.ConnectionPool(
            ssl_context=self._ssl_context, max_connections=1, retries=0, network_backend=pinned
        )

    def _addresses(self, place: Place, timeout_s: float) -> tuple[Address, ...]:
        """Every address of the place, each of which may be called."""
        literal = canonical(place.host)
        if literal is None and not self._allowed:
            # Wherever it is, it may not be called so.
            _check_reach(place)
        found = [str(literal)] if literal is not None else self._resolver(place.host, timeout_s)
        addresses = tuple(ip_address(each) for each in found)
        for address in addresses:
            if not within(address, self._allowed):
                _check_public(place, address)
        return addresses


def _check_public(place: Place, address: Address) -> None:
    what = not_public(address)
    if what is not None:
        raise RefusedError(
            f"{place.host} is at an address that is not on the public internet ({what}); only the operator may allow "
            "such networks, with HEADROOM_WEBHOOK_NETWORKS."
        )
    _check_reach(place)


def _check_reach(place: Place) -> None:
    """RefusedError for a scheme or a port at which nothing on the public internet is called."""
    if place.scheme != "https":
        raise RefusedError("Must be https: what is sent there crosses the internet.")
    if place.port not in PUBLIC_PORTS:
        ports = " or ".join(str(port) for port in PUBLIC_PORTS)
        raise RefusedError(f"Must be on port {ports}, not {place.port}.")


def _beginning(response: httpcore.Response) -> bytes:
    """As much of the body as there is room and time for; the status has said everything already."""
    body = b""
    with suppress(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        for part in response.iter_stream():
            body += part
            if len(body) >= MOST_BYTES:
                break
    return body[:MOST_BYTES]


class _Pinned(httpcore.NetworkBackend):
    """Connects to the checked addresses, whatever the host is called, and cuts the connection when time is up."""

    def __init__(self, addresses: tuple[Address, ...], *, until_s: float) -> None:
        self._addresses = addresses
        self._until_s = until_s
        self._backend = httpcore.SyncBackend()
        self._connection: socket.socket | None = None
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._connection is not None:
            self._connection.close()

    @property
    def left_s(self) -> float:
        """The time that is left."""
        return self._until_s - time.monotonic()

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - the addresses are known, and nobody asks for them again
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - all of it has one limit
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """To the first address that answers; each gets its share of the time that is left."""
        failed: Exception = httpcore.ConnectTimeout()
        for place, address in enumerate(self._addresses):
            share_s = self.left_s / (len(self._addresses) - place)
            if share_s <= 0:
                break
            try:
                stream = self._backend.connect_tcp(str(address), port, share_s, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
            else:
                self._limit(stream.get_extra_info("socket"))
                return stream
        raise failed

    def _limit(self, connection: socket.socket) -> None:
        """Every wait has a limit of its own, and a peer that sends byte after byte would pass them all."""
        self._connection = connection.dup()
        self._timer = threading.Timer(max(0.0, self.left_s), self._cut)
        self._timer.daemon = True
        self._timer.start()

    def _cut(self) -> None:
        with suppress(OSError):
            assert self._connection is not None
            self._connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def _in_our_words(pinned: _Pinned) -> Iterator[None]:
    try:
        yield
    except httpcore.TimeoutException as error:
        raise _timeout() from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        if pinned.left_s <= 0:
            raise _timeout() from error
        # The library puts what it has caught into its own.
        cause = next(iter(error.args), None)
        if isinstance(cause, ssl.SSLError):
            reason = getattr(cause, "verify_message", None) or cause.reason or "the handshake failed"
            raise UnsentError("tls", f"No secure connection: {reason}.") from error
        if isinstance(error, httpcore.ConnectError):
            raise UnsentError("unreachable", "Nobody answers at this address.") from error
        raise UnsentError("broken", "The connection ended before an answer had come.") from error


def _timeout() -> UnsentError:
    return UnsentError("timeout", "No answer came in time.")
