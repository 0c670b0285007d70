"""The batch of an occurrence while it is written: page by page, over several transactions."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.store.tables.batches import BatchItemRow


def next_chunk(session: Session, batch_id: str) -> int:
    """The number after those that its items lie in."""
    found = session.scalar(select(func.max(BatchItemRow.chunk)).where(BatchItemRow.batch_id == batch_id))
    return 0 if found is None else found + 1


def chunk_sizes(session: Session, batch_id: str) -> list[tuple[int, int]]:
    """Each of its chunks and how many items lie in it."""
    query = select(BatchItemRow.chunk, func.count()).where(BatchItemRow.batch_id == batch_id)
    rows = session.execute(query.group_by(BatchItemRow.chunk).order_by(BatchItemRow.chunk))
    return [(number, size) for number, size in rows]
