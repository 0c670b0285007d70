"""A batch arrives: its items are written as they are read, a thousand at a time, and seen once all of them are there.

Nothing is understood of an item here but where it begins: 100,000 of them would hold up the request for minutes, and
the workers read them anyway. A dry run understands all of them, and writes nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.orm import Session

from service.access import Caller
from service.errors import InvalidRequestError, RateLimitedError
from service.planning.audit import Action, Change, author_of, record
from service.planning.batch.asking import REFUSALS, checked, problem_of, told
from service.planning.batch.feed import feed
from service.planning.batch.placing import ITEMS_CHUNK, Places
from service.planning.batch.view import BatchView, batch_view
from service.planning.heard import batch_ended
from service.planning.idempotency import Once, claimed, taken
from service.planning.transact import read, transact, transact_rows
from service.planning.versions import current_versions
from service.runtime import Runtime
from service.schemas.uploaded_item import Uploaded
from service.store import batches
from service.store.ids import new_id
from service.store.tables.batches import BatchRow, BatchStatus, ChunkStatus, ItemState

log = structlog.get_logger(__name__)

# What waits lies in the database, and nobody may fill that.
MOST_OPEN = 50
_RETRY_AFTER_S = 30
_WRITTEN_TOGETHER = 1000
_MOST_REFUSALS = 100
_NOT_AN_ITEM = "malformed_body"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An item that was refused; `problem` is JSON."""

    line: int
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What would become of an upload; of many refusals the first."""

    items: int
    accepted: int
    refused: int
    refusals: tuple[Refusal, ...]


def receive(
    runtime: Runtime,
    caller: Caller,
    items: Callable[[], Iterator[Uploaded]],
    *,
    name: str | None,
    request_id: str,
    once: Once[BatchView] | None = None,
    items_chunk: int = ITEMS_CHUNK,
) -> BatchView:
    """Make a batch of the items. With `once` only where its key is new, else KeyInProgressError; RateLimitedError when
    too many batches of the tenant are open.

    Nothing is asked for the items before there is room for them: an upload may have to be read to be understood.
    Whatever goes wrong on the way leaves no batch behind.
    """
    read(runtime, lambda session: _check_room(session, caller.tenant_id))
    found = items()
    row = _empty(runtime, caller, name=name, request_id=request_id)

    def begin(session: Session) -> None:
        # Others may have come while the items were asked for.
        _check_room(session, caller.tenant_id)
        batches.add(session, row)

    transact(runtime, begin)
    try:
        view = _received(runtime, caller, row, found, once=once, chunks=Places(items_chunk))
    except BaseException:
        transact(runtime, lambda session: batches.forget(session, row.id))
        raise
    log.info("batch_received", batch_id=view.id, items=view.items, request_id=request_id, tenant_id=caller.tenant_id)
    feed(runtime)
    return view


def _empty(runtime: Runtime, caller: Caller, *, name: str | None, request_id: str) -> BatchRow:
    """A batch that nobody sees before all of it is there."""
    now = runtime.clock()
    return BatchRow(
        id=new_id("bat", now),
        tenant_id=caller.tenant_id,
        name=name,
        status=BatchStatus.RECEIVING.value,
        principal=caller.principal,
        request_id=request_id,
        traceparent=runtime.tracing.traceparent(),
        created_at=now,
    )


def _check_room(session: Session, tenant_id: str) -> None:
    if batches.count_open(session, tenant_id) >= MOST_OPEN:
        raise RateLimitedError(
            f"Your tenant has {MOST_OPEN} batches that have not ended; send this one when one of them has.",
            retry_after_s=_RETRY_AFTER_S,
        )


def _received(
    runtime: Runtime,
    caller: Caller,
    row: BatchRow,
    items: Iterator[Uploaded],
    *,
    once: Once[BatchView] | None,
    chunks: Places,
) -> BatchView:
    count = refused = 0
    for rows in _written_together(row.id, items, chunks):
        count += len(rows)
        refused += sum(one["state"] == ItemState.REFUSED.value for one in rows)
        transact_rows(runtime, lambda connection, rows=rows: batches.add_items(connection, rows))  # type: ignore[misc]
    if not count:
        raise InvalidRequestError("The upload holds no workload; send at least one.")
    view = _seen(row, count, refused, runtime)

    def work(session: Session) -> bool:
        """The key first, and then everything is there at once."""
        if once is not None and not claimed(
            session, runtime, caller.tenant_id, once, once.answer(view), resource_id=row.id, now=row.created_at
        ):
            raise taken(once)
        queued = _queued(row, chunks)
        accepted = batches.accept(session, row.id, refused=refused, chunks=queued, items=count, now=row.created_at)
        created = Change(
            at=row.created_at,
            action=Action.BATCH_CREATED,
            tenant_id=row.tenant_id,
            resource_id=row.id,
            old_state=None,
            new_state=f"{count} items",
        )
        record(session, (author_of(caller, row.request_id), created))
        if accepted and not queued:
            batch_ended(runtime, session, row.tenant_id, row.id)
        return accepted

    if not transact(runtime, work):
        raise InvalidRequestError("The upload took so long that it was given up; send fewer workloads at once.")
    return view


def _queued(row: BatchRow, chunks: Places) -> list[dict[str, Any]]:
    """The chunks of a batch, all of which wait."""
    return [
        {
            "batch_id": row.id,
            "number": number,
            "tenant_id": row.tenant_id,
            "status": ChunkStatus.QUEUED.value,
            "open_items": size,
        }
        for number, size in enumerate(chunks.sizes)
    ]


def _seen(row: BatchRow, count: int, refused: int, runtime: Runtime) -> BatchView:
    """The batch as it will be once it is accepted."""
    now = runtime.clock()
    over = refused == count
    seen = BatchRow(
        **{name: getattr(row, name) for name in ("id", "tenant_id", "name", "principal", "request_id", "created_at")},
        status=(BatchStatus.DONE if over else BatchStatus.ACCEPTED).value,
        items=count,
        done=0,
        infeasible=0,
        refused=refused,
        failed=0,
        reused_items=0,
        finished_at=row.created_at if over else None,
    )
    return batch_view(seen, running=0, now=now)


def _written_together(batch_id: str, items: Iterator[Uploaded], chunks: Places) -> Iterator[list[dict[str, Any]]]:
    """Rows of items, so many at a time."""
    rows: list[dict[str, Any]] = []
    for item in items:
        rows.append(_row(batch_id, item, chunks))
        if len(rows) == _WRITTEN_TOGETHER:
            yield rows
            rows = []
    if rows:
        yield rows


def _row(batch_id: str, item: Uploaded, chunks: Places) -> dict[str, Any]:
    wrong = item.wrong
    return {
        "batch_id": batch_id,
        "line": item.line,
        "chunk": chunks.place(item.asked) if wrong is None else -1,
        "state": (ItemState.QUEUED if wrong is None else ItemState.REFUSED).value,
        "asked": item.asked,
        "error_code": None if wrong is None else _NOT_AN_ITEM,
        "problem": None if wrong is None else told(_NOT_AN_ITEM, wrong),
    }


def dry_run(runtime: Runtime, items: Iterator[Uploaded]) -> DryRun:
    """Understand every item, and write nothing."""
    versions = current_versions(runtime)
    count = refused = 0
    refusals: list[Refusal] = []
    for item in items:
        count += 1
        problem = None if item.wrong is None else told(_NOT_AN_ITEM, item.wrong)
        if problem is None:
            try:
                checked(runtime, item.asked, versions)
            except REFUSALS as error:
                problem = problem_of(error)
        if problem is not None:
            refused += 1
            if len(refusals) < _MOST_REFUSALS:
                refusals.append(Refusal(line=item.line, problem=problem))
    if not count:
        raise InvalidRequestError("The upload holds no workload; send at least one.")
    return DryRun(items=count, accepted=count - refused, refused=refused, refusals=tuple(refusals))
