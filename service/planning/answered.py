"""A question whose answer is at hand: workload and run are written together with all others of the same moment."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from service.gathering import Rest
from service.kept import KeptRun
from service.logs.quick import QuickLog
from service.metrics import Answered
from service.planning.audit import Author, Change, author_of, events_of, workload_created
from service.planning.drafting import Draft
from service.planning.heard import runs_known
from service.planning.idempotency import FirstAnswer, Once, claimed, taken
from service.planning.reading import RunAnswer, done_answer
from service.planning.transact import transact, transact_rows
from service.planning.view import RunView
from service.runtime import Runtime
from service.schemas.run import SummaryForm
from service.store import results, runs, workloads
from service.store.ids import new_ids
from service.store.runs import Versions, columns_of
from service.store.scope import for_these
from service.store.tables.runs import RunStatus

log = QuickLog(__name__)

_DONE = RunStatus.DONE.value

# What somebody who did not wait is told: the run; None where the store does not hold the answer; or what went wrong.
Told = RunAnswer | Exception | None

_FORMS_KEPT = 1000
_NEVER = datetime.min.replace(tzinfo=UTC)


class _Written(NamedTuple):
    """A draft with its answer, the ids that it gets, and the idempotency key that lets it be written once."""

    draft: Draft
    body: bytes
    workload_id: str
    run_id: str
    event_id: str
    once: Once[RunView] | None
    answer: FirstAnswer | None = None


class _Outcome(NamedTuple):
    """Whether the stored answer is feasible, None without one; and whether somebody else has the idempotency key."""

    feasible: bool | None
    taken: bool = False


def answered(runtime: Runtime, draft: Draft, body: bytes, *, once: Once[RunView] | None = None) -> RunView | None:
    """The done run of a new workload, once it is committed.

    None, and nothing written, where the store does not hold the answer. With `once` only where its key is new, else
    KeyInProgressError, and nothing is written.
    """
    item = _item(draft, once, body)
    run: RunView | None = runtime.gathering.do(
        item, _work(runtime), then=lambda outcome: _run_of(runtime, item, outcome)
    )
    return run


def answered_later(runtime: Runtime, draft: Draft, body: bytes, *, tell: Callable[[Told], Rest]) -> None:
    """The same without waiting: another thread calls `tell`, and what it returns later; neither may raise."""
    item = _item(draft, None, body)

    def done(outcome: _Outcome) -> Rest:
        try:
            told: Told = None if outcome.feasible is None else _answer_of(runtime, item, feasible=outcome.feasible)
        except Exception as error:  # noqa: BLE001 - told to whoever asked
            told = error
        return tell(told)

    runtime.gathering.leave(item, _work(runtime), done=done, failed=tell)


def _work(runtime: Runtime) -> Callable[[Sequence[_Written]], Sequence[_Outcome]]:
    return lambda items: _write(runtime, items)


def _item(draft: Draft, once: Once[RunView] | None, body: bytes) -> _Written:
    workload_id, run_id, event_id = new_ids(draft.now, "wkl", "run", "aud")
    item = _Written(draft=draft, body=body, workload_id=workload_id, run_id=run_id, event_id=event_id, once=once)
    # Asked for here, because whoever writes for all knows nothing of this request; of a done run only its place is
    # kept, whatever came out.
    return item if once is None else item._replace(answer=once.answer(_view(item, feasible=None)))


def _run_of(runtime: Runtime, item: _Written, outcome: _Outcome) -> RunView | None:
    if outcome.feasible is None:
        return None
    if item.once is not None and outcome.taken:
        raise taken(item.once)
    _tell(runtime, item)
    return _view(item, feasible=outcome.feasible)


def _answer_of(runtime: Runtime, item: _Written, *, feasible: bool) -> RunAnswer:
    """The committed run as callers read it; kept, like every other one that is read."""
    _tell(runtime, item)
    draft = item.draft
    form = _form_of(draft.kind, draft.digest, draft.versions, feasible=feasible)
    run = KeptRun(
        summary=form.summary(run_id=item.run_id, workload_id=item.workload_id, at=draft.now), digest=draft.digest
    )
    runtime.kept.keep_run(draft.caller.tenant_id, item.run_id, run)
    return done_answer(draft.caller.tenant_id, item.run_id, run, item.body)


@lru_cache(_FORMS_KEPT)
def _form_of(kind: str, digest: str, versions: Versions, *, feasible: bool) -> SummaryForm:
    return SummaryForm(_blank(kind, digest, versions, feasible=feasible))


def _tell(runtime: Runtime, item: _Written) -> None:
    draft = item.draft
    runtime.metrics.submitted(Answered.KNOWN)
    log.info(
        "run_submitted",
        run_id=item.run_id,
        tenant_id=draft.caller.tenant_id,
        request_id=draft.request_id,
        kind=draft.kind,
        digest=draft.digest,
        status=_DONE,
        cached=True,
        answered_from="memory",
    )


def _write(runtime: Runtime, items: Sequence[_Written]) -> Sequence[_Outcome]:
    """One transaction for all; nothing is written for an item without a stored answer, or without its key.

    Nearly always all are written, so all rows are made before it begins: others wait while it lasts.
    """
    rows = _Rows(runtime, items)
    # The thread serves no request of its own.
    with for_these(item.draft.caller.tenant_id for item in items):
        if all(item.once is None for item in items):
            return transact_rows(runtime, lambda connection: _outcomes(runtime, connection, rows, late=lambda _: set()))
        return transact(
            runtime,
            lambda session: _outcomes(
                runtime, session.connection(), rows, late=lambda written: _late(session, runtime, written)
            ),
        )


class _Rows:
    """What is written for these items; whether their answers are feasible is only known in the transaction."""

    def __init__(self, runtime: Runtime, items: Sequence[_Written]) -> None:
        dialect = runtime.kept_open.dialect
        self.items = items
        self._done = [_run(item) for item in items]
        self._workloads = workloads.many(dialect, [_workload(item) for item in items])
        self._runs = runs.many(dialect, self._done)
        self._events = events_of(dialect, map(_created, items))

    def write(self, runtime: Runtime, connection: Connection, feasible: Sequence[bool]) -> None:
        """Write all of it."""
        for row, known in zip(self._done, feasible, strict=True):
            row["feasible"] = known
        self._runs.fill("feasible", feasible)
        self._workloads.insert(connection)
        self._runs.insert(connection)
        runs_known(runtime, connection, self._done)
        self._events.insert(connection)


def _outcomes(
    runtime: Runtime,
    connection: Connection,
    rows: _Rows,
    *,
    late: Callable[[Sequence[_Written]], set[str]],
) -> list[_Outcome]:
    """Write what may be written; `late` tells which of these items come too late for their key, by run."""
    items = rows.items
    stored = results.feasible_of(connection, {(item.draft.caller.tenant_id, item.draft.digest) for item in items})
    known = {item.run_id: stored.get((item.draft.caller.tenant_id, item.draft.digest)) for item in items}
    too_late = late([item for item in items if known[item.run_id] is not None])
    written = [item for item in items if known[item.run_id] is not None and item.run_id not in too_late]
    if written:
        these = rows if len(written) == len(items) else _Rows(runtime, written)
        these.write(runtime, connection, [bool(known[item.run_id]) for item in written])
    return [_Outcome(feasible=known[item.run_id], taken=item.run_id in too_late) for item in items]


def _late(session: Session, runtime: Runtime, items: Sequence[_Written]) -> set[str]:
    """The runs whose key stands for another request already."""
    keyed = [(item.draft.caller.tenant_id, item.once.key, item) for item in items if item.once is not None]
    late = set()
    # In one order everywhere: two processes that wait for each other's keys would both be stuck.
    for tenant_id, _, item in sorted(keyed, key=lambda of: of[:2]):
        assert item.once is not None
        if not claimed(
            session, runtime, tenant_id, item.once, item.answer, resource_id=item.run_id, now=item.draft.now
        ):
            late.add(item.run_id)
    return late


def _created(item: _Written) -> tuple[Author, Change]:
    caller = item.draft.caller
    created = workload_created(
        caller.tenant_id,
        item.workload_id,
        run_id=item.run_id,
        status=_DONE,
        at=item.draft.now,
        event_id=item.event_id,
    )
    return author_of(caller, item.draft.request_id), created


def _workload(item: _Written) -> dict[str, object]:
    draft = item.draft
    return {
        "id": item.workload_id,
        "tenant_id": draft.caller.tenant_id,
        "name": draft.request.name,
        "labels": dict(draft.request.labels),
        "kind": draft.kind,
        "question": draft.question,
        "version": 1,
        "principal": draft.caller.principal,
        "created_at": draft.now,
    }


def _run(item: _Written) -> dict[str, object]:
    draft = item.draft
    return {
        "id": item.run_id,
        "tenant_id": draft.caller.tenant_id,
        "workload_id": item.workload_id,
        "workload_version": 1,
        "status": _DONE,
        "kind": draft.kind,
        "digest": draft.digest,
        "question": draft.question,
        "cached": True,
        "feasible": None,
        "attempts": 0,
        "lease_token": 0,
        "principal": draft.caller.principal,
        "request_id": draft.request_id,
        "traceparent": draft.traceparent,
        "created_at": draft.now,
        "started_at": draft.now,
        "finished_at": draft.now,
        **columns_of(draft.versions),
    }


def _view(item: _Written, *, feasible: bool | None) -> RunView:
    draft = item.draft
    return replace(
        _blank(draft.kind, draft.digest, draft.versions, feasible=feasible),
        id=item.run_id,
        workload_id=item.workload_id,
        tenant_id=draft.caller.tenant_id,
        created_at=draft.now,
        started_at=draft.now,
        finished_at=draft.now,
        request_id=draft.request_id,
        question=draft.question.encode(),
        result=item.body,
    )


def _blank(kind: str, digest: str, versions: Versions, *, feasible: bool | None) -> RunView:
    """A run that was done as it was asked for; whose and when is still to be filled in."""
    return RunView(
        id="<run>",
        workload_id="<workload>",
        workload_version=1,
        tenant_id="<tenant>",
        status=RunStatus.DONE,
        kind=kind,
        digest=digest,
        cached=True,
        feasible=feasible,
        attempts=0,
        progress_fraction=1.0,
        created_at=_NEVER,
        started_at=_NEVER,
        finished_at=_NEVER,
        error=None,
        versions=versions,
        request_id="<request>",
        question=b"",
        result=None,
    )
