"""Batches: many workloads asked at once. A batch has items, a line each, and is worked on in chunks."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, Double, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from service.store.tables.moment import Moment
from service.store.tables.row import Owned, Row


class BatchStatus(StrEnum):
    """accepted -> running -> done, cancelled; never backwards. One that is still being received nobody sees."""

    RECEIVING = "receiving"
    ACCEPTED = "accepted"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


class ChunkStatus(StrEnum):
    """queued -> running -> done, cancelled; one that gives way to a person's question is queued again."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


class ItemState(StrEnum):
    """How far an item is. Only the ends are written: an open item is as its chunk and its batch are."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    INFEASIBLE = "infeasible"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN_BATCHES = (BatchStatus.ACCEPTED, BatchStatus.RUNNING)
OPEN_CHUNKS = (ChunkStatus.QUEUED, ChunkStatus.RUNNING)
ENDS = (ItemState.DONE, ItemState.INFEASIBLE, ItemState.REFUSED, ItemState.FAILED)
_STATUSES = ", ".join(f"'{status.value}'" for status in BatchStatus)
_CHUNK_STATUSES = ", ".join(f"'{status.value}'" for status in ChunkStatus)
_STATES = ", ".join(f"'{state.value}'" for state in (ItemState.QUEUED, *ENDS))
_IS_OPEN = text("status IN ('queued', 'running')")
_HAS_DIGEST = text("digest IS NOT NULL")


class BatchRow(Owned, Row):
    """One batch, with counts that each chunk adds to in its own transaction.

    `reused_items` are those that were answered without sizing: their question had an answer already. When items were
    counted last and how fast they have come of late tells how long the others will take.
    """

    __tablename__ = "batches"
    __table_args__ = (
        CheckConstraint(f"status IN ({_STATUSES})", name="status"),
        CheckConstraint("done + infeasible + refused + failed <= items", name="counts"),
        CheckConstraint("(status IN ('done', 'cancelled')) = (finished_at IS NOT NULL)", name="finished"),
        Index(None, "tenant_id", "id"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    name: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    items: Mapped[int] = mapped_column(server_default="0")
    done: Mapped[int] = mapped_column(server_default="0")
    infeasible: Mapped[int] = mapped_column(server_default="0")
    refused: Mapped[int] = mapped_column(server_default="0")
    failed: Mapped[int] = mapped_column(server_default="0")
    reused_items: Mapped[int] = mapped_column(server_default="0")
    counted_at: Mapped[datetime | None] = mapped_column(Moment)
    recent_rate_items_s: Mapped[float | None] = mapped_column(Double)
    principal: Mapped[str] = mapped_column(Text)
    request_id: Mapped[str] = mapped_column(Text)
    traceparent: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
    started_at: Mapped[datetime | None] = mapped_column(Moment)
    finished_at: Mapped[datetime | None] = mapped_column(Moment)


class BatchChunkRow(Owned, Row):
    """Items of a batch that one task sizes. `lease_token` grows with every claim: its newest holder alone may write.

    `attempts` counts claims that stored nothing, with the one that holds it: it grows only where workers die. A stored
    answer sets it to nought, but once items go one by one they do to the chunk's end, and it stays. `items_call` is how
    many items one call takes after time was up over more of them; all where nothing is said.
    """

    __tablename__ = "batch_chunks"
    __table_args__ = (
        CheckConstraint(f"status IN ({_CHUNK_STATUSES})", name="status"),
        CheckConstraint("open_items >= 0", name="open_items"),
        Index("ix_batch_chunks_open", "tenant_id", "sent_at", sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN),
    )

    batch_id: Mapped[str] = mapped_column(ForeignKey("batches.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    status: Mapped[str] = mapped_column(Text)
    open_items: Mapped[int]
    attempts: Mapped[int] = mapped_column(server_default="0")
    lease_token: Mapped[int] = mapped_column(server_default="0")
    lease_until: Mapped[datetime | None] = mapped_column(Moment)
    sent_at: Mapped[datetime | None] = mapped_column(Moment)
    items_call: Mapped[int | None]


class BatchItemRow(Row):
    """One line of a batch: `asked` is the request as it came, `problem` (JSON) why it was refused or failed.

    `attempts` counts the times that it was begun alone; `spares` those that were stopped by no fault of its own.
    """

    __tablename__ = "batch_items"
    __table_args__ = (
        CheckConstraint(f"state IN ({_STATES})", name="state"),
        Index(None, "batch_id", "chunk"),
        Index("ix_batch_items_digest", "digest", sqlite_where=_HAS_DIGEST, postgresql_where=_HAS_DIGEST),
    )

    batch_id: Mapped[str] = mapped_column(ForeignKey("batches.id"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    chunk: Mapped[int]
    state: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(server_default="0")
    spares: Mapped[int] = mapped_column(server_default="0")
    asked: Mapped[str] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
    kind: Mapped[str | None] = mapped_column(Text)
    digest: Mapped[str | None] = mapped_column(Text)
    error_code: Mapped[str | None] = mapped_column(Text)
    problem: Mapped[str | None] = mapped_column(Text)


class BatchAnswerRow(Owned, Row):
    """What a batch keeps of an answer: its best option in short, canonical JSON. One per tenant and question.

    Every batch that asks the question under the same versions reads it.
    """

    __tablename__ = "batch_answers"

    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    digest: Mapped[str] = mapped_column(Text, primary_key=True)
    body: Mapped[str] = mapped_column(Text)
    feasible: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(Moment)
