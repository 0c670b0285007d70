"""A page of sized workloads is compared with their former answers, and added to the summary of its occurrence."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from service.planning.schedule.comparing import Compared, compared, summary_of
from service.planning.schedule.pages import Pages
from service.runtime import Runtime
from service.store import occurrence_items, occurrences, results
from service.store.occurrence_items import SizedItem
from service.store.tables.batches import ItemState
from service.store.tables.schedules import OccurrenceRow, Outcome, Stage

_ANSWERED = frozenset({ItemState.DONE.value, ItemState.INFEASIBLE.value})


def compare_page(_runtime: Runtime, session: Session, row: OccurrenceRow, pages: Pages) -> Mapping[str, Any]:
    """One page more; with the last one the occurrence ends."""
    after_line = int(row.after or 0)
    found = occurrence_items.sized(session, row, after_line=after_line, limit=pages.compared)
    former = _former_answers(session, row, found)
    summary = summary_of(row.summary)
    settled: list[dict[str, Any]] = []
    for item in found:
        one = _compared(session, row, item, former)
        summary.add(one, line=item.line, workload_id=item.workload_id, name=item.name)
        settled.append(
            {
                "occurrence_id": row.id,
                "line": item.line,
                "digest": item.digest if item.state in _ANSWERED else None,
                "outcome": one.outcome.value,
                "moved_fraction": one.moved_fraction,
                "changes": one.at_rest(),
            }
        )
    occurrences.settle_items(session, settled)
    over = len(found) < pages.compared
    return {
        "compared": row.compared + len(found),
        "after": str(found[-1].line if found else after_line),
        "summary": summary.at_rest(),
        "stage": (Stage.ENDED if over else Stage.COMPARING).value,
    }


def _former_answers(session: Session, row: OccurrenceRow, found: Sequence[SizedItem]) -> dict[str, str]:
    """The short answers to the former questions that are not asked in the same way now."""
    former = {item.former_digest for item in found if item.former_digest != item.digest}
    return occurrence_items.answers(session, row.tenant_id, [digest for digest in former if digest is not None])


def _compared(session: Session, row: OccurrenceRow, item: SizedItem, former: Mapping[str, str]) -> Compared:
    if item.answer is None or item.state not in _ANSWERED:
        return Compared(outcome=Outcome.UNANSWERED)
    if item.former_digest is None:
        return Compared(outcome=Outcome.FIRST)
    if item.former_digest == item.digest:
        return compared(item.answer, item.answer, reworded=False, threshold_fraction=row.threshold_fraction)
    # A whole answer is long: one at a time, and only where no short one is kept.
    old = former.get(item.former_digest) or results.body(session, row.tenant_id, item.former_digest)
    if old is None:
        return Compared(outcome=Outcome.FIRST)
    reworded = item.former_version is not None and item.former_version != item.workload_version
    return compared(old, item.answer, reworded=reworded, threshold_fraction=row.threshold_fraction)
