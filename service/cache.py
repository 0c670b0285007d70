"""ResultCache over Redis: finished results under their question's digest. Expect a miss at any time."""

import hashlib
from typing import cast

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from service.breaker import Breaker
from service.metrics import Lookup, Metrics

log = structlog.get_logger(__name__)

_SOCKET_TIMEOUT_S = 0.25
_CHECKSUM_BYTES = 32
# A result beyond this is read from the database instead of pushing others out of the cache.
_MAX_BODY_BYTES = 8_000_000


class ResultCache:
    """Bytes under (tenant, digest) with a time to live. Answers hold prices, so no two tenants share one."""

    def __init__(self, url: str, *, ttl_s: int, breaker_open_s: float = 5.0, metrics: Metrics | None = None) -> None:
        self._redis = Redis.from_url(
            url,
            socket_timeout=_SOCKET_TIMEOUT_S,
            socket_connect_timeout=_SOCKET_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        self._ttl_s = ttl_s
        self._metrics = metrics or Metrics()
        self._breaker = Breaker(breaker_open_s)

    def get(self, tenant_id: str, digest: str) -> bytes | None:
        """The stored bytes, or None: not there, damaged, or no cache at hand."""
        if not self._breaker.allows():
            self._metrics.looked_up(Lookup.UNAVAILABLE)
            return None
        try:
            stored = cast("bytes | None", self._redis.get(_key(tenant_id, digest)))
        except (RedisError, OSError) as error:
            self._failed(error)
            self._metrics.looked_up(Lookup.UNAVAILABLE)
            return None
        self._breaker.succeeded()
        body = None if stored is None else _checked(stored)
        self._metrics.looked_up(Lookup.MISS if body is None else Lookup.HIT)
        return body

    def put(self, tenant_id: str, digest: str, body: bytes) -> bool:
        """Store with the time to live; False when it could not be stored."""
        if len(body) > _MAX_BODY_BYTES or not self._breaker.allows():
            return False
        try:
            self._redis.set(_key(tenant_id, digest), hashlib.sha256(body).digest() + body, ex=self._ttl_s)
        except (RedisError, OSError) as error:
            self._failed(error)
            return False
        self._breaker.succeeded()
        return True

    def ping(self) -> str | None:
        """None when the cache answers, else the reason."""
        try:
            self._redis.ping()
        except (RedisError, OSError) as error:
            return f"cache does not answer ({type(error).__name__})"
        return None

    def _failed(self, error: Exception) -> None:
        self._breaker.failed()
        log.warning("cache_unreachable", error=type(error).__name__)


def _key(tenant_id: str, digest: str) -> str:
    return f"headroom:answer:{tenant_id}:{digest}"


def _checked(stored: bytes) -> bytes | None:
    """The body behind its checksum; None when something is missing or damaged."""
    checksum, body = stored[:_CHECKSUM_BYTES], stored[_CHECKSUM_BYTES:]
    return body if body and hashlib.sha256(body).digest() == checksum else None
