"""Idempotency: a request that makes something makes it once, however often it is sent, and its first answer stands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from sqlalchemy.orm import Session

from service.access import Caller
from service.errors import KeyInProgressError, KeyReusedError
from service.planning.transact import read, transact
from service.runtime import Runtime
from service.store import idempotency
from service.store.tables.idempotency import IdempotencyRow

_RETRY_AFTER_S = 1


class Made(Protocol):
    """What a request makes: it has an id."""

    @property
    def id(self) -> str:
        """Its id."""
        ...


T = TypeVar("T", bound=Made)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstAnswer:
    """A first answer. Without a body it is written again from the resource, which must not change any more then.

    `told` is the body for whoever asked first, where it says more than may be kept.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes | None
    told: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Once(Generic[T]):
    """A key of the caller's, the request that it stands for, and the answer to what that request makes.

    `answer` gives None where the answer is known only later; then others are kept waiting for it for `hold_s`.
    """

    key: str
    fingerprint: str
    answer: Callable[[T], FirstAnswer | None]
    hold_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What an earlier request made, and its answer; None when it died before it had one."""

    resource_id: str
    answer: FirstAnswer | None


def claimed(
    session: Session,
    runtime: Runtime,
    tenant_id: str,
    once: Once[T],
    answer: FirstAnswer | None,
    *,
    resource_id: str,
    now: datetime,
) -> bool:
    """Let the key stand for this request, in the transaction that makes the resource, before anything is written.

    False when it stands for a request already: nothing may be written then, and `taken` is to be raised.
    """
    return idempotency.claim(
        session,
        tenant_id,
        once.key,
        fingerprint=once.fingerprint,
        resource_id=resource_id,
        held_until=now + timedelta(seconds=once.hold_s),
        status=None if answer is None else answer.status,
        headers=None if answer is None else answer.headers,
        body=_text(answer),
        now=now,
        expired_before=expired_before(runtime),
    )


def taken(once: Once[T]) -> KeyInProgressError:
    """What a request is told whose key stands for another one; `earlier` may know more."""
    return KeyInProgressError(
        f"The first request with the idempotency key {once.key[:64]!r} is still being answered; send it again.",
        retry_after_s=_RETRY_AFTER_S,
    )


def earlier(runtime: Runtime, caller: Caller, once: Once[T]) -> Earlier | None:
    """What the key stands for, None for nothing.

    KeyReusedError when that is another request, KeyInProgressError while it is being answered.
    """
    row = _row(runtime, caller, once.key)
    if row is None:
        return None
    if row.fingerprint != once.fingerprint:
        raise KeyReusedError(
            f"The idempotency key {once.key[:64]!r} was used for another request; send this one under a new key."
        )
    answer = _answer(row)
    if answer is None and runtime.clock() < row.held_until:
        raise taken(once)
    return Earlier(resource_id=row.resource_id, answer=answer)


def record(runtime: Runtime, caller: Caller, once: Once[T], *, resource_id: str, answer: FirstAnswer) -> FirstAnswer:
    """Keep this as the first answer; returns the one that stands, which may be another that was kept meanwhile."""
    recorded = transact(
        runtime,
        lambda session: idempotency.record(
            session,
            caller.tenant_id,
            once.key,
            resource_id=resource_id,
            status=answer.status,
            headers=answer.headers,
            body=_text(answer),
        ),
    )
    row = None if recorded else _row(runtime, caller, once.key)
    standing = _answer(row) if row is not None and row.resource_id == resource_id else None
    return standing or answer


def expired_before(runtime: Runtime) -> datetime:
    """Keys that were first used before this moment stand for nothing any more."""
    return runtime.clock() - timedelta(seconds=runtime.settings.idempotency_ttl_s)


def _row(runtime: Runtime, caller: Caller, key: str) -> IdempotencyRow | None:
    since = expired_before(runtime)
    return read(runtime, lambda session: idempotency.get(session, caller.tenant_id, key, expired_before=since))


def _answer(row: IdempotencyRow) -> FirstAnswer | None:
    if row.status is None:
        return None
    body = None if row.body is None else row.body.encode()
    return FirstAnswer(status=row.status, headers=row.headers or {}, body=body)


def _text(answer: FirstAnswer | None) -> str | None:
    return None if answer is None or answer.body is None else answer.body.decode()
