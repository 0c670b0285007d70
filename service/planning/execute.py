"""A run is sized and stored: claim (short transaction), size (none), store and release (short transaction), cache."""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from sqlalchemy.orm import Session

from service.errors import PlannerError
from service.planning.answer import Answer, answer
from service.planning.heard import run_ended
from service.planning.time_limit import TIME_LIMIT, Computed, given_up
from service.planning.transact import read, transact
from service.queue import TimeLimitReached
from service.runtime import Runtime
from service.store import outbox, results, runs, tenants
from service.store.tables.runs import RunStatus
from service.tracing import now_ns, trace_id_of

log = structlog.get_logger(__name__)

Solve = Callable[[Runtime, str], Answer]
# Which run is taken where a message rings for one: told in the transaction that takes it.
Choose = Callable[[Session, str], str]

_DISABLED = "tenant_disabled"
_TAKEN_OVER = "taken_over"
_CANCELLED = "cancelled"
_SPARED = "spared"
# Somebody else ended the run, or nobody has.
_NOT_ENDED = (_DISABLED, _TAKEN_OVER, _CANCELLED, _SPARED)
_TRACEBACK_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """A run that this process holds, with the fencing token that says so."""

    run_id: str
    tenant_id: str
    question: str
    token: int
    attempt: int
    spares: int
    kind: str
    digest: str
    request_id: str
    traceparent: str | None
    refused: bool
    waited_s: float

    @property
    def ids(self) -> dict[str, str | int]:
        """What every line and span about this run carries."""
        ids = {"run_id": self.run_id, "tenant_id": self.tenant_id, "request_id": self.request_id, "kind": self.kind}
        return {**ids, "attempt": self.attempt}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """Why a run ends without an answer."""

    code: str
    message: str
    traceback: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spared:
    """Time was up before the engine could compute: somebody tries again."""

    computed_s: float


_Outcome = Answer | _Failure | _Spared


def _that_one(_session: Session, run_id: str) -> str:
    return run_id


def execute(runtime: Runtime, run_id: str, *, solve: Solve = answer, choose: Choose = _that_one) -> bool:
    """Bring one run to its end; False when there was nothing to do, or somebody else did it."""
    began_ns = now_ns()
    claim = _claim(runtime, run_id, choose=choose)
    if claim is None:
        log.info("run_not_claimed", run_id=run_id)
        return False
    # Whoever rang, the run goes on in the trace of the request that made it.
    with runtime.tracing.span("execute", parent=claim.traceparent, began_ns=began_ns, **claim.ids) as span:
        with runtime.tracing.span("claim", began_ns=began_ns):
            """Over already: only now is it known whose trace it belongs to."""
        trace_id = runtime.tracing.trace_id() or trace_id_of(claim.traceparent)
        span.set(digest=claim.digest)
        with structlog.contextvars.bound_contextvars(**claim.ids, **({"trace_id": trace_id} if trace_id else {})):
            code = _bring_to_end(runtime, claim, solve, began_ns)
        if code is not None and code != _CANCELLED:
            span.fail(code)
        return code not in _NOT_ENDED


def _bring_to_end(runtime: Runtime, claim: _Claim, solve: Solve, began_ns: int) -> str | None:
    """Why the run has no answer now, None where it has one."""
    if claim.refused:
        log.warning("run_failed", code=_DISABLED)
        return _DISABLED
    log.info("run_claimed", digest=claim.digest)
    runtime.metrics.claimed(claim.kind, attempt=claim.attempt, waited_s=claim.waited_s)
    started_s = time.perf_counter()
    with runtime.tracing.span("size"):
        outcome = _solve(runtime, claim, solve)
    runtime.metrics.sized(claim.kind, outcome=_named(outcome), seconds=time.perf_counter() - started_s)
    with runtime.tracing.span("store"):
        stored = _store(runtime, claim, outcome)
    if not stored:
        return _lost(runtime, claim)
    duration_ms = round((now_ns() - began_ns) / 1e6, 2)
    if isinstance(outcome, _Failure):
        log.warning("run_failed", code=outcome.code, duration_ms=duration_ms)
        return outcome.code
    if isinstance(outcome, _Spared):
        log.warning("run_spared", computed_s=round(outcome.computed_s, 2), duration_ms=duration_ms)
        return _SPARED
    runtime.cache.put(claim.tenant_id, outcome.digest, outcome.stored.body)
    log.info("run_done", feasible=outcome.stored.feasible, duration_ms=duration_ms)
    return None


def _lost(runtime: Runtime, claim: _Claim) -> str:
    """Why the answer came too late: its caller wants it no more, or another worker has the run."""
    row = read(runtime, lambda session: runs.get(session, claim.tenant_id, claim.run_id))
    if row is not None and row.status == RunStatus.CANCELLED:
        log.info("run_was_cancelled")
        return _CANCELLED
    log.warning("run_taken_over", token=claim.token)
    return _TAKEN_OVER


def _claim(runtime: Runtime, rung_for: str, *, choose: Choose = _that_one) -> _Claim | None:
    """Take the run, if it may be taken; a disabled tenant's run ends here instead."""
    now = runtime.clock()
    settings = runtime.settings

    def work(session: Session) -> _Claim | None:
        run_id = choose(session, rung_for)
        row = runs.claim(session, run_id, now=now, lease_s=settings.lease_s, max_attempts=settings.max_attempts)
        if row is None:
            return None
        # The bell of another was heard: its own is still to be rung, for that other one.
        if run_id == rung_for:
            outbox.remove_for(session, run_id)
        tenant = tenants.get(session, row.tenant_id)
        refused = tenant is None or tenant.disabled_at is not None
        if refused:
            message = "The tenant was disabled before this run was sized."
            runs.fail(session, run_id, token=row.lease_token, code=_DISABLED, message=message, traceback=None, now=now)
            run_ended(runtime, session, row.tenant_id, run_id, now=now)
        return _Claim(
            run_id=row.id,
            tenant_id=row.tenant_id,
            question=row.question,
            token=row.lease_token,
            attempt=row.attempts,
            spares=row.spares,
            kind=row.kind,
            digest=row.digest,
            request_id=row.request_id,
            traceparent=row.traceparent,
            refused=refused,
            waited_s=(now - row.created_at).total_seconds(),
        )

    return transact(runtime, work)


def _solve(runtime: Runtime, claim: _Claim, solve: Solve) -> _Outcome:
    """Whatever the engine does, the run gets an end that says what happened, or another try where none was had."""
    computed = Computed()
    try:
        return solve(runtime, claim.question)
    except TimeLimitReached:
        message = given_up(runtime.settings, computed, spares=claim.spares)
        return _Spared(computed_s=computed.seconds) if message is None else _Failure(code=TIME_LIMIT, message=message)
    except PlannerError as error:
        return _Failure(code=error.code, message=error.message)
    except Exception as error:
        # What it says goes into the row alone: it may quote the customer's question. The line tells types and places.
        log.exception("engine_error", error=type(error).__name__)
        return _Failure(
            code="engine_error",
            message=f"The engine failed on this question; the operator finds the reason under run {claim.run_id}.",
            traceback=traceback.format_exc()[-_TRACEBACK_CHARACTERS:],
        )


def _named(outcome: _Outcome) -> str:
    if isinstance(outcome, _Failure):
        return outcome.code
    if isinstance(outcome, _Spared):
        return _SPARED
    return "feasible" if outcome.stored.feasible else "infeasible"


def _store(runtime: Runtime, claim: _Claim, outcome: _Outcome) -> bool:
    """Write the end of the run and of those that follow it, or give it back, if the token still matches."""
    now = runtime.clock()

    def work(session: Session) -> bool:
        if isinstance(outcome, _Spared):
            return runs.spare(session, claim.run_id, token=claim.token, now=now)
        if isinstance(outcome, _Failure):
            stored = runs.fail(
                session,
                claim.run_id,
                token=claim.token,
                code=outcome.code,
                message=outcome.message,
                traceback=outcome.traceback,
                now=now,
            )
        else:
            stored = runs.finish(
                session,
                claim.run_id,
                token=claim.token,
                feasible=outcome.stored.feasible,
                digest=outcome.digest,
                versions=outcome.versions,
                now=now,
            )
        if stored and not isinstance(outcome, _Failure):
            results.put(session, claim.tenant_id, outcome.digest, outcome.stored, now=now)
        if stored:
            run_ended(runtime, session, claim.tenant_id, claim.run_id, now=now)
        return stored

    return transact(runtime, work)
