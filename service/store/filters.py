"""What a list is narrowed to: None is any; times from `created_after` on and before `created_before`; all labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from service.store.tables.audit import AuditEventRow
from service.store.tables.price_books import PriceBookRow
from service.store.tables.quotes import QuoteRow, QuoteState
from service.store.tables.runs import RunRow, RunStatus
from service.store.tables.workloads import WorkloadRow

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs are asked for. The labels are those that the workload has now."""

    status: RunStatus | None = None
    kind: str | None = None
    workload_id: str | None = None
    feasible: bool | None = None
    cached: bool | None = None
    labels: Labels = ()
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadFilter:
    """Which workloads are asked for: those that are not archived, unless `archived` says otherwise."""

    kind: str | None = None
    name: str | None = None
    labels: Labels = ()
    archived: bool | None = False
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which events are asked for."""

    action: str | None = None
    principal: str | None = None
    resource_kind: str | None = None
    resource_id: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBookFilter:
    """Which price books are asked for; `activated` are those that were ever put in force."""

    name: str | None = None
    currency: str | None = None
    activated: bool | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteFilter:
    """Which revisions of quotes are asked for."""

    state: QuoteState | None = None
    number: str | None = None
    run_id: str | None = None
    customer: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


ANY_RUN = RunFilter()
LISTED_WORKLOADS = WorkloadFilter()


def of_runs(session: Session, only: RunFilter) -> list[ColumnElement[bool]]:
    """The conditions on runs."""
    found = _same(RunRow, only, ("status", "kind", "workload_id", "feasible", "cached")) + _created(RunRow, only)
    if only.labels:
        workload = select(WorkloadRow.id).where(WorkloadRow.id == RunRow.workload_id, *_labelled(session, only.labels))
        found.append(workload.exists())
    return found


def of_workloads(session: Session, only: WorkloadFilter) -> list[ColumnElement[bool]]:
    """The conditions on workloads."""
    found = _same(WorkloadRow, only, ("kind", "name")) + _created(WorkloadRow, only)
    if only.archived is not None:
        archived = WorkloadRow.archived_at
        found.append(archived.is_not(None) if only.archived else archived.is_(None))
    return found + _labelled(session, only.labels)


def of_events(only: AuditFilter) -> list[ColumnElement[bool]]:
    """The conditions on audit events."""
    names = ("action", "principal", "resource_kind", "resource_id")
    return _same(AuditEventRow, only, names) + _created(AuditEventRow, only)


def of_price_books(only: PriceBookFilter) -> list[ColumnElement[bool]]:
    """The conditions on price books."""
    found = _same(PriceBookRow, only, ("name", "currency")) + _created(PriceBookRow, only)
    if only.activated is not None:
        activated = PriceBookRow.activated_at
        found.append(activated.is_not(None) if only.activated else activated.is_(None))
    return found


def of_quotes(only: QuoteFilter, *, now: datetime) -> list[ColumnElement[bool]]:
    """The conditions on quotes; an issued one whose validity has ended is expired, whether that was noted or not."""
    found = _same(QuoteRow, only, ("number", "run_id", "customer")) + _created(QuoteRow, only)
    issued, overdue = QuoteRow.state == QuoteState.ISSUED.value, QuoteRow.expires_at <= now
    if only.state == QuoteState.ISSUED:
        found += [issued, ~overdue]
    elif only.state == QuoteState.EXPIRED:
        found.append(or_(QuoteRow.state == QuoteState.EXPIRED.value, and_(issued, overdue)))
    elif only.state is not None:
        found.append(QuoteRow.state == str(only.state))
    return found


def _same(table: Any, only: Any, names: Sequence[str]) -> list[ColumnElement[bool]]:
    given = ((getattr(table, name), getattr(only, name)) for name in names)
    # A plain string of an enum's member: a driver may know enums of its own.
    return [column == (str(value) if isinstance(value, str) else value) for column, value in given if value is not None]


def _created(table: Any, only: Any) -> list[ColumnElement[bool]]:
    after, before = only.created_after, only.created_before
    return [
        *([] if after is None else [table.created_at >= after]),
        *([] if before is None else [table.created_at < before]),
    ]


def _labelled(session: Session, labels: Labels) -> list[ColumnElement[bool]]:
    """One condition per label. Members are compared: in a path, marks that a key may hold would mean something."""
    sqlite = session.get_bind().dialect.name == "sqlite"
    each = func.json_each if sqlite else func.json_each_text
    found: list[ColumnElement[bool]] = []
    for key, value in labels:
        member = each(WorkloadRow.labels).table_valued("key", "value")
        found.append(select(member.c.key).where(member.c.key == key, member.c.value == value).exists())
    return found
