"""A page of workloads enters an occurrence: an item each, with its former answer, and a line each of the batch."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy.orm import Session

from service.planning.batch.placing import Places
from service.planning.schedule.asking import selected
from service.planning.schedule.comparing import Summary
from service.planning.schedule.pages import Pages
from service.planning.schedule.view import selection_of
from service.runtime import Runtime
from service.store import batches, occurrences, schedule_batches, schedules, selection
from service.store.ids import new_id
from service.store.selection import Former
from service.store.tables.batches import OPEN_BATCHES, BatchRow, BatchStatus, ChunkStatus, ItemState
from service.store.tables.schedules import OccurrenceRow, Stage
from service.store.tables.workloads import WorkloadRow

_TOO_LARGE = "selection_too_large"


def select_page(runtime: Runtime, session: Session, row: OccurrenceRow, pages: Pages) -> Mapping[str, Any]:
    """One page more; with the last one the batch is accepted, and sized from then on."""
    now = runtime.clock()
    only = selected(selection_of(row.selection), now=row.created_at)
    room = min(pages.selected, pages.most_items - row.items)
    found = selection.page(session, row.tenant_id, only, after_id=row.after, limit=room + 1)
    more, found = len(found) > room, found[:room]
    batch_id = row.batch_id
    if batch_id is None and found:
        batch_id = _new_batch(session, row, now=now)
    if batch_id is not None and found:
        _add(session, row, batch_id, found)
    items = row.items + len(found)
    values = {"batch_id": batch_id, "items": items, "after": found[-1].id if found else row.after}
    if more and items < pages.most_items:
        return values
    error_code = _TOO_LARGE if more else None
    if batch_id is None:
        return {**values, "stage": Stage.ENDED.value, "summary": Summary().at_rest()}
    _accept(session, row, batch_id, items, now=now)
    return {**values, "stage": Stage.SIZING.value, "after": "0", "error_code": error_code}


def _new_batch(session: Session, row: OccurrenceRow, *, now: datetime) -> str:
    batch = BatchRow(
        id=new_id("bat", now),
        tenant_id=row.tenant_id,
        name=_name(session, row),
        status=BatchStatus.RECEIVING.value,
        principal=row.principal,
        request_id=row.request_id,
        created_at=now,
    )
    batches.add(session, batch)
    return batch.id


def _name(session: Session, row: OccurrenceRow) -> str:
    """What people find it by in the list of batches: the schedule, and when it was due."""
    schedule = schedules.get(session, row.tenant_id, row.schedule_id)
    name = "A schedule that was removed" if schedule is None else schedule.name
    return f"{name}, {row.due_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _add(session: Session, row: OccurrenceRow, batch_id: str, found: Sequence[WorkloadRow]) -> None:
    former = selection.former(session, row.tenant_id, [workload.id for workload in found])
    places = Places(first=schedule_batches.next_chunk(session, batch_id))
    lines = range(row.items + 1, row.items + 1 + len(found))
    asked = [_asked(workload) for workload in found]
    batch_items = [
        {
            "batch_id": batch_id,
            "line": line,
            "chunk": places.place(text),
            "state": ItemState.QUEUED.value,
            "asked": text,
        }
        for line, text in zip(lines, asked, strict=True)
    ]
    items = [
        _item(row.id, line, workload, former.get(workload.id)) for line, workload in zip(lines, found, strict=True)
    ]
    batches.add_items(session.connection(), batch_items)
    occurrences.add_items(session.connection(), items)


def _asked(workload: WorkloadRow) -> str:
    """The workload as a body of POST /v1/workloads. What is kept of it is JSON already."""
    name = b"" if workload.name is None else b'"name":' + orjson.dumps(workload.name) + b","
    return "{" + name.decode() + workload.question[1:]


def _item(occurrence_id: str, line: int, workload: WorkloadRow, former: Former | None) -> dict[str, Any]:
    return {
        "occurrence_id": occurrence_id,
        "line": line,
        "workload_id": workload.id,
        "workload_version": workload.version,
        "former_id": None if former is None else former.id,
        "former_digest": None if former is None else former.digest,
        "former_version": None if former is None else former.version,
    }


def _accept(session: Session, row: OccurrenceRow, batch_id: str, items: int, *, now: datetime) -> None:
    chunks = [
        {
            "batch_id": batch_id,
            "number": number,
            "tenant_id": row.tenant_id,
            "status": ChunkStatus.QUEUED.value,
            "open_items": size,
        }
        for number, size in schedule_batches.chunk_sizes(session, batch_id)
    ]
    batches.accept(session, batch_id, refused=0, chunks=chunks, items=items, now=now)


def withdraw(session: Session, row: OccurrenceRow, *, now: datetime) -> None:
    """The occurrence ends early: what its batch has not sized is sized no more."""
    if row.batch_id is None:
        return
    batch = batches.hold(session, row.tenant_id, row.batch_id)
    if batch is not None and batch.status in OPEN_BATCHES:
        batches.cancel(session, batch, now=now)
