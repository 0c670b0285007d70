"""Whose body is on its way: of a client with a key, of a browser that is signed in, or of one that signs in."""

from flask import Flask

from service.access import Caller
from service.edge.answering import Environ
from service.edge.authentication import CALLER, caller_of
from service.edge.limits import network_of
from service.edge.sessions import session_of

SIGN_IN_PATH = "/sign-in"
_API = "/v1/"


def sender_of(app: Flask, environ: Environ) -> str:
    """The tenant that sends it, or the address of whoever signs in; UnauthenticatedError when nobody is known."""
    path = environ["PATH_INFO"]
    if path == SIGN_IN_PATH:
        return f"address {network_of(environ.get('REMOTE_ADDR', ''))}"
    if path.startswith(_API) or "HTTP_AUTHORIZATION" in environ:
        caller: Caller = environ.get(CALLER) or caller_of(app, environ.get("HTTP_AUTHORIZATION", ""))
        return caller.tenant_id
    return session_of(app, environ).caller.tenant_id
