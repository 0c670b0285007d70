"""HTTP to processes of this machine, in the clear: to read all authorities that TLS trusts would take 20 ms a call.

Whoever waits for a process asks twenty times a second, and would take from it a third of the core that it starts on.
"""

import ssl

import httpx

# It trusts nobody: a call that is led to TLS fails.
CLEAR = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def get(url: str, *, within_s: float = 5.0) -> httpx.Response:
    """The answer to one question over a connection of its own."""
    return httpx.get(url, timeout=within_s, trust_env=False, verify=CLEAR)


def is_well(url: str, *, within_s: float = 5.0) -> bool:
    """Whether there is an answer, and it says 200."""
    try:
        return get(url, within_s=within_s).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
