"""A chunk of a batch is worked on: claim, size in one call what has no answer, store all in one transaction.

A worker that dies loses what it had not stored, at most the work of a slice; another claims the chunk when the lease
has run out. After two deaths without an answer in between, or where several items of one call ran out of time, they
are sized one by one, each noted before it is begun: the one that kills its worker again and again, or takes too long,
fails alone. A person's question ends a slice early, in the middle of the call: what is not found is queued again.
"""

from collections import Counter

import structlog
from sqlalchemy.orm import Session

from service.planning.batch.asking import told
from service.planning.batch.brief import sized
from service.planning.batch.calls import Calls, Solve
from service.planning.batch.feed import feed
from service.planning.batch.pace import Pace
from service.planning.batch.questions import Questions
from service.planning.batch.slice import Slice
from service.planning.heard import batch_ended
from service.planning.transact import read, transact
from service.planning.versions import current_versions
from service.queue import TimeLimitReached
from service.runtime import Runtime
from service.store import chunks
from service.store.chunks import Claimed, OpenItem
from service.store.tables.batches import ChunkStatus, ItemState

log = structlog.get_logger(__name__)

# So long a person's question may wait for a worker that sizes items, and for one step of the engine.
_LOOK_EVERY_S = 0.05
# Of a worker that dies over one item it is not known whether somebody else has killed it; of a second one it is.
_DEATHS_ALONE = 2


def size_chunk(
    runtime: Runtime, batch_id: str, number: int, *, solve: Solve = sized, look_every_s: float = _LOOK_EVERY_S
) -> bool:
    """Work on one chunk for a while; False when there was nothing to do, or somebody else did it."""
    now = runtime.clock()
    claimed = transact(
        runtime, lambda session: chunks.claim(session, batch_id, number, now=now, lease_s=runtime.settings.lease_s)
    )
    if claimed is None:
        log.info("chunk_not_claimed", batch_id=batch_id, chunk=number)
        return False
    ids: dict[str, str | int] = {
        "batch_id": batch_id,
        "chunk": number,
        "tenant_id": claimed.tenant_id,
        "request_id": claimed.request_id,
    }
    with (
        structlog.contextvars.bound_contextvars(**ids, attempt=claimed.attempts),
        runtime.tracing.span("size_chunk", parent=claimed.traceparent, began_ns=None, **ids) as span,
    ):
        work = _Work(runtime, claimed, solve=solve, look_every_s=look_every_s)
        # The first claim follows no death, however few attempts are allowed.
        alone = 1 < claimed.attempts >= runtime.settings.max_attempts
        stored = work.one_by_one() if alone else work.together()
        if not stored:
            span.fail("taken_over")
            log.warning("chunk_taken_over", token=claimed.token)
    feed(runtime)
    return stored


class _Work:
    """The work of one claim."""

    def __init__(self, runtime: Runtime, claimed: Claimed, *, solve: Solve, look_every_s: float) -> None:
        self._runtime = runtime
        self._claimed = claimed
        self._pace = Pace(runtime, look_every_s=look_every_s)
        versions = current_versions(runtime)
        self._questions = Questions(runtime, claimed.tenant_id, versions)
        self._calls = Calls(runtime, versions, solve=solve, known=self._questions.known, pace=self._pace)
        self._items = read(runtime, lambda session: chunks.open_items(session, claimed.batch_id, claimed.number))

    def together(self) -> bool:
        """Everything, until the slice is over or somebody waits; stored in one transaction."""
        part, attempts = Slice(), None
        try:
            self._calls.sized(part, self._questions.read(part, self._items, self._pace))
        except TimeLimitReached:
            if not self._calls.blame(part):
                # Nobody knows which of them it was: the next claim sizes them one by one.
                attempts = self._runtime.settings.max_attempts
        if attempts is None and part.ended:
            attempts = 0
        more = len(part.ended) < len(self._items)
        return self._store(part, then=ChunkStatus.QUEUED if more else ChunkStatus.DONE, attempts=attempts)

    def one_by_one(self) -> bool:
        """Each item noted before it is begun, and stored before the next: one that kills its worker fails alone."""
        log.warning("chunk_sized_one_by_one", items=len(self._items))
        for place, item in enumerate(self._items, 1):
            part = Slice()
            if item.attempts >= _DEATHS_ALONE:
                message = "Its worker died or was stopped each time that it was sized, alone too."
                part.end(item, ItemState.FAILED, code="poison", problem=told("poison", message))
                log.error("item_poisoned", line=item.line)
            elif self._note(item):
                self._alone(part, item)
            else:
                return False
            over = not part.ended or self._pace.over()
            then = ChunkStatus.QUEUED if over else ChunkStatus.RUNNING
            last = place == len(self._items) and part.ended
            # Time was up, and not by its fault: whoever lives to store that did not die over it.
            spared = None if part.ended else item.line
            if not self._store(part, then=ChunkStatus.DONE if last else then, spared=spared):
                return False
            if over:
                break
        return True

    def _alone(self, part: Slice, item: OpenItem) -> None:
        try:
            self._calls.sized(part, self._questions.of_items(part, [item]))
        except TimeLimitReached:
            self._calls.blame(part)

    def _note(self, item: OpenItem) -> bool:
        """Say that the item is about to be sized, and hold the chunk for another lease."""
        now, lease_s = self._runtime.clock(), self._runtime.settings.lease_s

        def work(session: Session) -> bool:
            if not chunks.extend(session, self._claimed, now=now, lease_s=lease_s):
                return False
            chunks.attempt(session, self._claimed, item.line)
            return True

        return transact(self._runtime, work)

    def _store(self, part: Slice, *, then: ChunkStatus, attempts: int | None = None, spared: int | None = None) -> bool:
        """One transaction: answers, ends of items, the chunk, the counts of the batch; all or nothing.

        The item of the line that is `spared` has not been tried after all.
        """
        runtime, now = self._runtime, self._runtime.clock()
        rows = [
            {
                "tenant_id": self._claimed.tenant_id,
                "digest": digest,
                "body": brief.body,
                "feasible": brief.feasible,
                "created_at": now,
            }
            for digest, brief in part.answers.items()
        ]

        def work(session: Session) -> bool:
            stored = chunks.settle(
                session,
                self._claimed,
                part.ended,
                counts=part.counts(),
                then=then,
                attempts=attempts,
                now=now,
            )
            if stored:
                chunks.put_answers(session, rows)
            if stored and spared is not None:
                chunks.spare(session, self._claimed, spared)
            if stored and then is ChunkStatus.DONE:
                batch_ended(runtime, session, self._claimed.tenant_id, self._claimed.batch_id)
            return stored

        stored = transact(self._runtime, work)
        if stored:
            self._count(part)
            log.info(
                "chunk_stored", items=len(part.ended), how=then.value, duration_ms=round(self._pace.spent_s * 1e3, 1)
            )
        return stored

    def _count(self, part: Slice) -> None:
        metrics, states = self._runtime.metrics, Counter(one.state.value for one in part.ended)
        reused = Counter(part.reused)
        for state, count in states.items():
            metrics.items_ended(state, count - reused[state])
            metrics.items_ended(state, reused[state], reused=True)
