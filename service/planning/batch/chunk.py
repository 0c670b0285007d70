"""A chunk of a batch is worked on: claim, size in one call what has no answer, store all in one transaction.

A worker that dies loses what it had not stored, at most the work of a slice; another claims the chunk when the lease
has run out. After two deaths without an answer in between its items are sized one by one, each noted before it is
begun: the one that kills its worker again and again fails alone. Where time is up over several items, however far they
are, the next call takes half as many, and twice as many after each that ends in time: the one that takes too long is
alone in the end, and is judged by what was computed for it (service.planning.time_limit). A person's question ends a
slice early, in the middle of the call: what is not found is queued again.
"""

from collections import Counter

import structlog
from sqlalchemy.orm import Session

from service.metrics import Mended
from service.planning.batch.asking import told
from service.planning.batch.brief import sized
from service.planning.batch.calls import Calls, Solve
from service.planning.batch.feed import feed
from service.planning.batch.pace import Pace
from service.planning.batch.questions import Questions
from service.planning.batch.slice import Slice
from service.planning.heard import batch_ended
from service.planning.time_limit import TIME_LIMIT, Computed, given_up
from service.planning.transact import read, transact
from service.planning.versions import current_versions
from service.queue import TimeLimitReached
from service.runtime import Runtime
from service.store import batch_answers, chunks
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
    runtime.metrics.mended(Mended.CHUNK_LEASE_EXPIRED, int(claimed.lapsed))
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
        self._pace, self._computed = Pace(runtime, look_every_s=look_every_s), Computed()
        versions = current_versions(runtime)
        self._questions = Questions(runtime, claimed.tenant_id, versions)
        self._calls = Calls(runtime, versions, solve=solve, known=self._questions.known, pace=self._pace)
        self._items = read(runtime, lambda session: chunks.open_items(session, claimed.batch_id, claimed.number))

    def together(self) -> bool:
        """As many as one call may take, until the slice is over or somebody waits; stored in one transaction."""
        claimed, part, spared = self._claimed, Slice(), None
        items = self._items[: claimed.items_call]
        # None is all of them; twice as many follow upon so many that end in time.
        following = claimed.items_call and claimed.items_call * 2
        try:
            self._calls.sized(part, self._questions.read(part, items, self._pace))
        except TimeLimitReached:
            log.warning("chunk_out_of_time", items=len(items), computed_s=round(self._computed.seconds, 2))
            following = max(1, len(items) // 2)
            if len(items) == 1:
                spared = self._judged(part, items[0], self._computed)
        attempts = 0 if part.ended else claimed.attempts - 1
        then = ChunkStatus.QUEUED if len(part.ended) < len(self._items) else ChunkStatus.DONE
        return self._store(part, then=then, attempts=attempts, items_call=following, spared=spared)

    def one_by_one(self) -> bool:
        """Each item noted before it is begun, and stored before the next: one that kills its worker fails alone."""
        claimed = self._claimed
        log.warning("chunk_sized_one_by_one", items=len(self._items))
        for place, item in enumerate(self._items, 1):
            part, spared = Slice(), None
            if item.attempts - item.spares >= _DEATHS_ALONE:
                message = "Its worker died or was stopped each time that it was sized, alone too."
                part.end(item, ItemState.FAILED, code="poison", problem=told("poison", message))
                log.error("item_poisoned", line=item.line)
            else:
                computed = Computed()
                try:
                    if not self._note(item):
                        return False
                    self._calls.sized(part, self._questions.of_items(part, [item]))
                except TimeLimitReached:
                    spared = self._judged(part, item, computed)
            over = not part.ended or self._pace.over()
            then = ChunkStatus.QUEUED if over else ChunkStatus.RUNNING
            last = place == len(self._items) and part.ended
            then = ChunkStatus.DONE if last else then
            # This claim is no death; those before it stay, and with them that items go one by one.
            attempts = claimed.attempts - 1
            if not self._store(part, then=then, attempts=attempts, items_call=claimed.items_call, spared=spared):
                return False
            if over:
                break
        return True

    def _judged(self, part: Slice, item: OpenItem, computed: Computed) -> OpenItem | None:
        """Time was up over an item that was alone, whatever was being done about it: it fails, or is spared."""
        if part.ended:
            return None
        message = given_up(self._runtime.settings, computed, spares=item.spares)
        if message is None:
            log.warning("item_spared", line=item.line, computed_s=round(computed.seconds, 2))
            return item
        part.end(item, ItemState.FAILED, code=TIME_LIMIT, problem=told(TIME_LIMIT, message))
        log.warning("item_too_slow", line=item.line, computed_s=round(computed.seconds, 2))
        return None

    def _note(self, item: OpenItem) -> bool:
        """Say that the item is about to be sized, and hold the chunk for another lease."""
        now, lease_s = self._runtime.clock(), self._runtime.settings.lease_s

        def work(session: Session) -> bool:
            if not chunks.extend(session, self._claimed, now=now, lease_s=lease_s):
                return False
            chunks.attempt(session, self._claimed, item)
            return True

        return transact(self._runtime, work)

    def _store(
        self, part: Slice, *, then: ChunkStatus, attempts: int, items_call: int | None, spared: OpenItem | None
    ) -> bool:
        """One transaction: answers, ends of items, one that is spared, the chunk, the counts of the batch."""
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
                items_call=items_call,
                now=now,
            )
            if stored:
                batch_answers.put_answers(session, rows)
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
