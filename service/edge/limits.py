"""Rate limits: so many calls per tenant that read or write, and per address where there is no valid key."""

import ipaddress
from dataclasses import dataclass
from typing import cast

from flask import Flask, Response, current_app, g, request

from service.access import Caller
from service.edge.allowance import Allowances, Rate, RedisCount, SharedCount, Standing
from service.edge.context import runtime
from service.errors import RateLimitedError
from service.settings import Settings

_EXTENSION = "headroom-rate-limits"
# Where the short way leaves the standing after a call that it has counted and Flask goes on with.
SPENT = "headroom.spent"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
# An owner of IPv6 addresses has at least so many bits of them.
_IPV6_NETWORK_BITS = 64
RATE_HEADERS_DOC = {
    "RateLimit-Limit": {
        "description": "On limited routes: calls of this sort (reading, or writing and computing) that your tenant may "
        "make per window; without a valid key, calls of your address.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "RateLimit-Remaining": {
        "description": "Calls left in this window. Each web process tells what it knows: others may have taken some "
        "since, and 2 % of the limit may be held by them.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "RateLimit-Reset": {"description": "Seconds until the window ends.", "schema": {"type": "integer", "minimum": 0}},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    """The rates of an installation and what is left of them."""

    reads: Rate
    writes: Rate
    unknown: Rate
    window_s: int
    allowances: Allowances


def limit_rates(app: Flask, settings: Settings, *, count: SharedCount | None = None) -> None:
    """Give the application its rate limits; done again, it starts to count anew in this process."""
    count = count or RedisCount(settings.cache_url, breaker_open_s=settings.breaker_open_s)
    app.extensions[_EXTENSION] = _Limits(
        reads=Rate(name="reads", limit=settings.rate_limit_reads),
        writes=Rate(name="writes", limit=settings.rate_limit_writes),
        unknown=Rate(name="unknown", limit=settings.rate_limit_unknown),
        window_s=settings.rate_window_s,
        allowances=Allowances(count, window_s=settings.rate_window_s, processes=settings.web_workers),
    )


def register_rate_headers(app: Flask) -> None:
    """Every answer to a call that was counted says how the caller stands."""
    app.after_request(_tell)


def spend_for_tenant(caller: Caller) -> None:
    """Count a call of a caller's tenant; RateLimitedError when it is one too many."""
    if SPENT in request.environ:
        g.rate_standing = request.environ[SPENT]
        return
    limits = _limits()
    _spend(limits, _rate_of(limits, caller, request.method), caller.tenant_id)
    request.environ[SPENT] = g.rate_standing


def known_refusal(app: Flask, caller: Caller, method: str) -> tuple[Standing, RateLimitedError] | None:
    """What a call is told of which it is known, without a look at anything but its method, that it is one too many."""
    limits = cast("_Limits", app.extensions[_EXTENSION])
    standing = limits.allowances.used_up(_rate_of(limits, caller, method), caller.tenant_id)
    return None if standing is None else (standing, _one_too_many(limits, standing))


def spend_read(app: Flask, caller: Caller) -> Standing:
    """Count a reading call of a tenant, unless it is one too many: then it is not counted, and to be refused."""
    limits = cast("_Limits", app.extensions[_EXTENSION])
    return limits.allowances.spend(_own(limits.reads, caller.quota.reads), caller.tenant_id)


def spend_write(app: Flask, caller: Caller) -> Standing:
    """The same for a call that writes or computes."""
    limits = cast("_Limits", app.extensions[_EXTENSION])
    return limits.allowances.spend(_own(limits.writes, caller.quota.writes), caller.tenant_id)


def _rate_of(limits: _Limits, caller: Caller, method: str) -> Rate:
    if method in _READING:
        return _own(limits.reads, caller.quota.reads)
    return _own(limits.writes, caller.quota.writes)


def _own(rate: Rate, quota: int | None) -> Rate:
    """The rate of a tenant that has a quota of its own."""
    return rate if quota is None else Rate(name=rate.name, limit=quota)


def spend_for_address() -> None:
    """Count a call without a valid key by where it comes from; RateLimitedError when it is one too many."""
    limits = _limits()
    _spend(limits, limits.unknown, network_of(request.remote_addr or ""))


def network_of(address: str) -> str:
    """Whose address it is: an IPv4 address itself, the network of an IPv6 address, else one name for all others."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return "elsewhere"
    if known.version == 4:
        return address
    mapped = known.ipv4_mapped
    return str(mapped or ipaddress.IPv6Network((int(known), _IPV6_NETWORK_BITS), strict=False))


def _limits() -> _Limits:
    return cast("_Limits", current_app.extensions[_EXTENSION])


def _spend(limits: _Limits, rate: Rate, key: str) -> None:
    standing = g.rate_standing = limits.allowances.spend(rate, key)
    if not standing.allowed:
        runtime().metrics.rate_limited(rate.name)
        raise _one_too_many(limits, standing)


def _one_too_many(limits: _Limits, standing: Standing) -> RateLimitedError:
    rate = standing.rate
    who = "This address" if rate is limits.unknown else "Your tenant"
    what = {"reads": "calls that read", "writes": "calls that write or compute"}.get(
        rate.name, "calls without a valid API key"
    )
    return RateLimitedError(
        f"{who} may make {rate.limit} {what} per {limits.window_s} s; ask again in {standing.reset_s} s.",
        retry_after_s=standing.reset_s,
    )


def _tell(response: Response) -> Response:
    standing: Standing | None = g.get("rate_standing")
    if standing is not None:
        for name, value in rate_headers(standing):
            # Nobody else writes these, so nothing needs to be looked for and replaced.
            response.headers.add(name, value)
    return response


def rate_headers(standing: Standing) -> tuple[tuple[str, str], ...]:
    """How a caller stands, as headers."""
    return (
        ("RateLimit-Limit", str(standing.rate.limit)),
        ("RateLimit-Remaining", str(standing.remaining)),
        ("RateLimit-Reset", str(standing.reset_s)),
    )
