"""What a tenant may read of its batches: counts and progress, items by page, all results in the order of the lines."""

from collections.abc import Iterator

from sqlalchemy.orm import Session

from service.access import Caller
from service.errors import NotFoundError
from service.planning.batch.view import BatchView, ItemView, batch_view
from service.planning.transact import read
from service.runtime import Runtime
from service.store import batches
from service.store.batches import BatchFilter, FoundItem, ItemFilter
from service.store.tables.batches import BatchRow

ANY_BATCH = BatchFilter()
ANY_ITEM = ItemFilter()
# Few enough that a reader who stops holds little, many enough that a query costs nothing per item.
_READ_TOGETHER = 500


def get_batch(runtime: Runtime, caller: Caller, batch_id: str) -> BatchView:
    """The batch; NotFoundError when the caller's tenant has no such batch."""

    def query(session: Session) -> BatchView:
        row = found(session, caller, batch_id)
        running = batches.running_items(session, [row.id])
        return batch_view(row, running=running.get(row.id, 0), now=runtime.clock())

    return read(runtime, query)


def list_batches(
    runtime: Runtime, caller: Caller, *, only: BatchFilter = ANY_BATCH, before_id: str | None = None, limit: int = 50
) -> tuple[BatchView, ...]:
    """The tenant's batches, newest first; `before_id` is the last id of the page before."""

    def query(session: Session) -> tuple[BatchView, ...]:
        rows = batches.newest(session, caller.tenant_id, only=only, before_id=before_id, limit=limit)
        running, now = batches.running_items(session, [row.id for row in rows]), runtime.clock()
        return tuple(batch_view(row, running=running.get(row.id, 0), now=now) for row in rows)

    return read(runtime, query)


def list_items(
    runtime: Runtime,
    caller: Caller,
    batch_id: str,
    *,
    only: ItemFilter = ANY_ITEM,
    after_line: int = 0,
    limit: int = 50,
) -> tuple[ItemView, ...]:
    """Items in the order of their lines, after `after_line`; NotFoundError when there is no such batch."""

    def query(session: Session) -> list[FoundItem]:
        row = found(session, caller, batch_id)
        return batches.items(session, row, only=only, after_line=after_line, limit=limit)

    return tuple(_item_view(item) for item in read(runtime, query))


def results(runtime: Runtime, caller: Caller, batch_id: str, *, only: ItemFilter = ANY_ITEM) -> Iterator[ItemView]:
    """Every item as it is when its turn comes, in the order of the lines; NotFoundError is raised at once.

    Between two items nothing is held: whoever reads slowly takes nothing from others.
    """
    first = list_items(runtime, caller, batch_id, only=only, limit=_READ_TOGETHER)

    def following() -> Iterator[ItemView]:
        page = first
        while page:
            yield from page
            if len(page) < _READ_TOGETHER:
                return
            after = page[-1].line
            page = list_items(runtime, caller, batch_id, only=only, after_line=after, limit=_READ_TOGETHER)

    return following()


def found(session: Session, caller: Caller, batch_id: str) -> BatchRow:
    """The row; NotFoundError without one."""
    row = batches.get(session, caller.tenant_id, batch_id)
    if row is None:
        raise missing(batch_id)
    return row


def missing(batch_id: str) -> NotFoundError:
    """What is said of a batch that is not there for this caller."""
    return NotFoundError(f"There is no batch {batch_id[:64]!r}.")


def _item_view(item: FoundItem) -> ItemView:
    return ItemView(
        line=item.line,
        state=item.state,
        name=item.name,
        kind=item.kind,
        digest=item.digest,
        attempts=item.attempts,
        problem=item.problem,
        answer=item.answer,
    )
