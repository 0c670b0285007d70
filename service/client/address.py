"""Where the server is and who asks: checked before anything is sent, so that a typo is a sentence."""

import ipaddress

import httpx

from service.client.problem import HeadroomError

DEFAULT_URL = "http://127.0.0.1:8080"


class AddressError(HeadroomError):
    """The URL or the key cannot be used."""


def checked_url(text: str) -> httpx.URL:
    """The address of a Headroom."""
    try:
        url = httpx.URL(text.strip().rstrip("/"))
    except httpx.InvalidURL as error:
        raise AddressError(f"The URL {text!r} cannot be read ({error}); write it like {DEFAULT_URL}.") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise AddressError(f"The URL {text!r} must begin with http:// or https:// and name a host, like {DEFAULT_URL}.")
    if url.userinfo or url.query or url.fragment:
        raise AddressError("The URL is an address only: no user, no question mark, no #.")
    return url


def checked_key(text: str) -> str:
    """An API key that fits into a header."""
    key = text.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise AddressError("The key is empty or has characters that no API key has; copy it again.")
    return key


def on_this_machine(url: httpx.URL) -> bool:
    """Whether the address is this machine itself, which no proxy can reach."""
    if url.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(url.host).is_loopback
    except ValueError:
        return False
