"""What is left of a rate limit: counted here, in portions that all processes draw from one count in Redis.

A round trip for every call would cost more than reading a finished run. A portion is a fiftieth of the limit, shared by
the web processes of a host: what some of them have drawn and not used, at most 2 % of the limit per host, may be
missing for the others. More than the limit is never handed out while Redis answers.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import structlog
from limits.storage import RedisStorage
from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from service.breaker import Breaker

log = structlog.get_logger(__name__)

# The longest that a Redis which hangs can hold up a call, once per opening of the breaker.
_SOCKET_TIMEOUT_S = 0.05
_PORTIONS = 50
# Of one rate in one window; whoever comes later shares one account, so that no flood of addresses fills the memory.
_MOST_ACCOUNTS = 10_000
_THE_REST = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many calls of one sort per key and window."""

    name: str
    limit: int


class Standing(NamedTuple):
    """How a key stands after a call: whether that call was within the limit, and what is left until the reset."""

    allowed: bool
    rate: Rate
    remaining: int
    reset_s: int


class SharedCount(Protocol):
    """A count that all processes add to."""

    def add(self, key: str, amount: int, *, keep_s: int) -> int | None:
        """The count under `key` with `amount` added, forgotten `keep_s` after its first; None: out of reach."""
        ...


class _Storage(RedisStorage):
    """It looks for the clients of both kinds of servers, and to load the other one takes as long as all of itself."""

    DEPENDENCIES = {"redis": RedisStorage.DEPENDENCIES["redis"]}  # noqa: RUF012 - as its parent has it


class RedisCount:
    """The count in Redis. Out of reach after a failure for as long as the breaker is open."""

    def __init__(self, url: str, *, breaker_open_s: float) -> None:
        pool: ConnectionPool = ConnectionPool.from_url(
            url,
            socket_timeout=_SOCKET_TIMEOUT_S,
            socket_connect_timeout=_SOCKET_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        # Its script adds and sets the time to live in one step: no key can stay for ever.
        self._storage = _Storage(url, connection_pool=pool, key_prefix="headroom:rate")
        self._breaker = Breaker(breaker_open_s)

    def add(self, key: str, amount: int, *, keep_s: int) -> int | None:
        """One round trip, or none while the breaker is open."""
        if not self._breaker.allows():
            return None
        try:
            total = self._storage.incr(key, keep_s, amount)
        except (RedisError, OSError) as error:
            self._breaker.failed()
            log.warning("rate_limits_count_alone", error=type(error).__name__)
            return None
        self._breaker.succeeded()
        return total


@dataclass(slots=True)
class _Account:
    """What one key, or all that came too late to have their own, have in this process and window."""

    key: str
    left: int = 0
    beyond: int = 0
    drawn_by_all: int = 0
    drawn_alone: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Allowances:
    """Spends the rate limits of keys, in windows that begin at the same moment everywhere."""

    def __init__(
        self,
        count: SharedCount,
        *,
        window_s: int,
        processes: int,
        most_accounts: int = _MOST_ACCOUNTS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """So many `processes` share a host. `most_accounts` bounds the memory of each rate."""
        self._count = count
        self._window_s = window_s
        self._processes = processes
        self._most_accounts = most_accounts
        self._clock = clock
        self._lock = threading.Lock()
        self._current: tuple[int, dict[str, dict[str, _Account]]] = (0, {})

    def spend(self, rate: Rate, key: str) -> Standing:
        """Count one call of the key."""
        now_s = self._clock()
        window, accounts = self._accounts(int(now_s // self._window_s), rate)
        account = accounts.get(key) or self._open(accounts, key)
        with account.lock:
            if not account.left:
                self._draw(account, rate, f"{rate.name}:{account.key}:{window}")
            allowed = account.left > 0
            account.left -= allowed
            remaining = account.left + account.beyond
        return Standing(allowed=allowed, rate=rate, remaining=remaining, reset_s=self._reset_s(window, now_s))

    def used_up(self, rate: Rate, key: str) -> Standing | None:
        """How a key stands of which all processes together have handed out everything; None where it has to be tried.

        Nothing is counted, drawn or waited for: a flood must not cost more than it is worth.
        """
        now_s = self._clock()
        window, accounts = self._accounts(int(now_s // self._window_s), rate)
        account = accounts.get(key)
        if account is None or account.left or account.drawn_by_all < rate.limit:
            return None
        return Standing(allowed=False, rate=rate, remaining=account.beyond, reset_s=self._reset_s(window, now_s))

    def _reset_s(self, window: int, now_s: float) -> int:
        return min(self._window_s, max(1, math.ceil((window + 1) * self._window_s - now_s)))

    def _accounts(self, window: int, rate: Rate) -> tuple[int, dict[str, _Account]]:
        """The newest window and its accounts; all that is known of the last one is forgotten with it.

        A call that looked at the clock just before others began a window counts in theirs: the old one never comes
        back. Only a clock that was put back for longer begins anew, or else its limits would stand until it caught up.
        """
        current, by_rate = self._current
        if window not in {current, current - 1}:
            with self._lock:
                if window not in {self._current[0], self._current[0] - 1}:
                    self._current = (window, {})
                current, by_rate = self._current
        accounts = by_rate.get(rate.name)
        return current, by_rate.setdefault(rate.name, {}) if accounts is None else accounts

    def _open(self, accounts: dict[str, _Account], key: str) -> _Account:
        with self._lock:
            opened = key if len(accounts) < self._most_accounts else _THE_REST
            return accounts.setdefault(opened, _Account(opened))

    def _draw(self, account: _Account, rate: Rate, name: str) -> None:
        """The next portion: from the count of all, else from this process's own share of the limit."""
        if account.drawn_by_all >= rate.limit:
            return
        portion = max(1, rate.limit // (_PORTIONS * self._processes))
        total = self._count.add(name, portion, keep_s=2 * self._window_s)
        if total is None:
            share = max(1, rate.limit // self._processes)
            account.left = min(portion, share - account.drawn_alone)
            account.drawn_alone += account.left
            account.beyond = share - account.drawn_alone
        else:
            account.left = max(0, min(portion, rate.limit - (total - portion)))
            account.drawn_by_all = total
            account.beyond = max(0, rate.limit - total)
