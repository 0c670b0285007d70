"""A chunk of a batch is worked on: claim, size what has no answer, some items in a call, store all in one transaction.

A worker that dies loses what it had not stored, at most the work of a slice; another claims the chunk when the lease
has run out. After two deaths without an answer in between, or where several items of one call ran out of time, they
are sized one by one, each noted before it is begun: the one that kills its worker again and again, or takes too long,
fails alone. A person's question ends a slice early, and the rest is queued again.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import structlog
from sqlalchemy.orm import Session

from service.errors import PlannerError
from service.planning.batch.asking import REFUSALS, Asked, asked, name_in, problem_of, told
from service.planning.batch.brief import Brief, of_answer, sized
from service.planning.batch.feed import feed
from service.planning.heard import batch_ended
from service.planning.transact import read, transact
from service.planning.versions import current_versions
from service.queue import QueueName, TimeLimitReached
from service.quoting.indicative import weights
from service.runtime import Runtime
from service.sizing.kind import Kind
from service.sizing.table import FloatArray
from service.store import batches, chunks, results
from service.store.chunks import Claimed, EndedItem, OpenItem
from service.store.runs import Versions
from service.store.tables.batches import ChunkStatus, ItemState

log = structlog.get_logger(__name__)

# None of several: what is asked is for a call of its own.
Found = Brief | PlannerError | None
Solve = Callable[[Runtime, Sequence[Asked], Versions, FloatArray], list[Found]]
Open = tuple[OpenItem, Asked]

# A slice leaves the soft limit enough room for one slow item and for storing.
_SLICE_FRACTION = 0.4
# So long a person's question may wait for a worker that sizes items, and for one call.
_LOOK_EVERY_S = 0.05
# Most of what items save by going together they save with so few; those of other kinds take as long together as alone.
_SIZED_TOGETHER = {Kind.INFERENCE: 8}
# Items are read and looked up so many at a time, so that a person does not wait for all of a chunk to be read.
_READ_TOGETHER = 100
# An item that has had so much of the limit for itself does not get it again.
_OWN_FAULT_FRACTION = 0.5
# Of a worker that dies over one item it is not known whether somebody else has killed it; of a second one it is.
_DEATHS_ALONE = 2


class _EngineError(PlannerError):
    """The engine broke on a question."""

    code = "engine_error"

    def __init__(self) -> None:
        where = "the operator finds the reason under the batch and the line"
        super().__init__(f"The engine failed on this question; {where}.")


@dataclass(slots=True)
class _Slice:
    """What one look at a chunk comes to: ends of items and the answers that they rest on."""

    ended: list[EndedItem] = field(default_factory=list)
    answers: dict[str, Brief] = field(default_factory=dict)
    # The states of those whose question had an answer already.
    reused: list[str] = field(default_factory=list)

    def end(
        self,
        item: OpenItem,
        state: ItemState,
        *,
        of: Asked | None = None,
        problem: str | None = None,
        code: str | None = None,
    ) -> None:
        """One more item has its end."""
        self.ended.append(
            EndedItem(
                line=item.line,
                state=state,
                name=name_in(item.asked) if of is None else of.name,
                kind=None if of is None else of.kind,
                digest=None if of is None else of.digest,
                error_code=code,
                problem=problem,
            )
        )

    def counts(self) -> batches.Ended:
        """The ends by state."""
        by_state = Counter(one.state.value for one in self.ended)
        names = ("done", "infeasible", "refused", "failed")
        return batches.Ended(**{name: by_state[name] for name in names}, reused_items=len(self.reused))


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
        alone = claimed.attempts >= runtime.settings.max_attempts
        stored = work.one_by_one() if alone else work.together()
        if not stored:
            span.fail("taken_over")
            log.warning("chunk_taken_over", token=claimed.token)
    feed(runtime)
    return stored


class _Work:
    """The work of one claim."""

    def __init__(self, runtime: Runtime, claimed: Claimed, *, solve: Solve, look_every_s: float) -> None:
        self._solve, self._look_every_s = solve, look_every_s
        self._runtime = runtime
        self._claimed = claimed
        self._versions: Versions = current_versions(runtime)
        self._weight: FloatArray = weights(runtime.catalog.hardware, runtime.price_book)
        self._known: dict[str, bool] = {}
        self._begun: Sequence[Open] = ()
        self._began_s = self._looked_s = self._begun_s = time.monotonic()
        self._items = read(runtime, lambda session: chunks.open_items(session, claimed.batch_id, claimed.number))

    def together(self) -> bool:
        """Everything, until the slice is over or somebody waits; stored in one transaction."""
        part, attempts = _Slice(), None
        try:
            for start in range(0, len(self._items), _READ_TOGETHER):
                if not self._sized(part, self._items[start : start + _READ_TOGETHER]):
                    break
        except TimeLimitReached:
            if not self._blame(part):
                # Nobody knows which of them it was: the next claim sizes them one by one.
                attempts = self._runtime.settings.max_attempts
        if attempts is None and part.ended:
            attempts = 0
        more = len(part.ended) < len(self._items)
        return self._store(part, then=ChunkStatus.QUEUED if more else ChunkStatus.DONE, attempts=attempts)

    def _sized(self, part: _Slice, items: list[OpenItem]) -> bool:
        """Some of the items after another, a few in a call; False when it is time to stop."""
        for some in _calls(self._with_answers(part, self._understood(part, items))):
            if self._gives_way(part):
                return False
            for one in self._size(part, some):
                if self._gives_way(part):
                    return False
                self._size(part, [one])
        return not self._gives_way(part)

    def _blame(self, part: _Slice) -> bool:
        """The item that was at work when time was up fails, where it had most of the time for itself.

        False where several had it together.
        """
        limit_s = self._runtime.settings.task_soft_limit_s
        if not self._begun or time.monotonic() - self._begun_s < limit_s * _OWN_FAULT_FRACTION:
            return True
        if len(self._begun) > 1:
            return False
        ((item, of),) = self._begun
        message = f"Sizing took longer than {limit_s} s; narrow the constraints."
        part.end(item, ItemState.FAILED, of=of, code="time_limit", problem=told("time_limit", message))
        log.warning("item_too_slow", line=item.line)
        return True

    def one_by_one(self) -> bool:
        """Each item noted before it is begun, and stored before the next: one that kills its worker fails alone."""
        log.warning("chunk_sized_one_by_one", items=len(self._items))
        for place, item in enumerate(self._items, 1):
            part = _Slice()
            if item.attempts >= _DEATHS_ALONE:
                message = "Its worker died or was stopped each time that it was sized, alone too."
                part.end(item, ItemState.FAILED, code="poison", problem=told("poison", message))
                log.error("item_poisoned", line=item.line)
            elif self._note(item):
                self._alone(part, item)
            else:
                return False
            over = not part.ended or self._gives_way(part)
            then = ChunkStatus.QUEUED if over else ChunkStatus.RUNNING
            last = place == len(self._items) and part.ended
            if not self._store(part, then=ChunkStatus.DONE if last else then):
                return False
            if over:
                break
        return True

    def _alone(self, part: _Slice, item: OpenItem) -> None:
        try:
            self._sized(part, [item])
        except TimeLimitReached:
            self._blame(part)

    def _understood(self, part: _Slice, items: list[OpenItem]) -> list[tuple[OpenItem, Asked]]:
        """The items that can be sized; the others are refused."""
        found = []
        for item in items:
            try:
                found.append((item, asked(self._runtime, item.asked, self._versions)))
            except REFUSALS as error:
                part.end(item, ItemState.REFUSED, code=error.code, problem=problem_of(error))
        return found

    def _with_answers(self, part: _Slice, items: list[tuple[OpenItem, Asked]]) -> list[tuple[OpenItem, Asked]]:
        """The items with what is known of their answers looked up, those of one model after another."""
        tenant_id = self._claimed.tenant_id
        digests = list(dict.fromkeys(of.digest for _, of in items))

        def look(session: Session) -> tuple[dict[str, bool], dict[str, bytes]]:
            known = chunks.known_answers(session, tenant_id, digests)
            asked_by_runs = chunks.stored_results(session, tenant_id, [one for one in digests if one not in known])
            bodies = {digest: results.body(session, tenant_id, digest) for digest in asked_by_runs}
            return known, {digest: body for digest, body in bodies.items() if body is not None}

        known, bodies = read(self._runtime, look)
        for digest, body in bodies.items():
            part.answers[digest] = brief = of_answer(body, versions=self._versions)
            known[digest] = brief.feasible
        self._known |= known
        return sorted(items, key=lambda pair: (pair[1].kind, _subject(pair[1])))

    def _size(self, part: _Slice, some: Sequence[Open]) -> list[Open]:
        """The ends of some items, and of several those that are left, to be sized one by one.

        Of equal questions the first is sized, and its answer is that of the others.
        """
        self._begun, self._begun_s = some, time.monotonic()
        left: list[Open] = []
        fresh: dict[str, Open] = {}
        for one in some:
            if one[1].digest not in self._known:
                fresh.setdefault(one[1].digest, one)
        found = dict(zip(fresh, self._found(list(fresh.values())), strict=True))
        briefs = {digest: answer for digest, answer in found.items() if isinstance(answer, Brief)}
        part.answers |= briefs
        self._known |= {digest: brief.feasible for digest, brief in briefs.items()}
        for one in some:
            item, of = one
            answer = found.get(of.digest)
            if answer is None and of.digest not in self._known:
                left.append(one)
                continue
            if isinstance(answer, PlannerError):
                state = ItemState.REFUSED if isinstance(answer, REFUSALS) else ItemState.FAILED
                part.end(item, state, of=of, code=answer.code, problem=problem_of(answer))
                continue
            state = ItemState.DONE if self._known[of.digest] else ItemState.INFEASIBLE
            if fresh.get(of.digest) is not one:
                part.reused.append(state.value)
            part.end(item, state, of=of)
        self._begun = ()
        return left

    def _found(self, some: Sequence[Open]) -> Sequence[Found]:
        """What the engine answers; where it breaks on several, each is left to be tried by itself."""
        if not some:
            return []
        try:
            return self._solve(self._runtime, [of for _, of in some], self._versions, self._weight)
        except TimeLimitReached:
            raise
        except Exception as error:
            if len(some) > 1:
                log.warning("sized_apart", error=type(error).__name__, items=len(some))
                return [None] * len(some)
            if isinstance(error, PlannerError):
                return [error]
            # What it says may quote the customer's question. The line tells types and places.
            log.exception("engine_error", error=type(error).__name__, line=some[0][0].line)
            return [_EngineError()]

    @property
    def _slice_s(self) -> float:
        return self._runtime.settings.task_soft_limit_s * _SLICE_FRACTION

    def _gives_way(self, part: _Slice) -> bool:
        """Whether to stop here: the slice is over, or a person's question waits that no worker has taken."""
        now_s = time.monotonic()
        if not part.ended:
            return False
        if now_s - self._began_s > self._slice_s:
            return True
        if now_s - self._looked_s < self._look_every_s:
            return False
        self._looked_s = now_s
        return bool(self._runtime.queue.depth(QueueName.INTERACTIVE))

    def _note(self, item: OpenItem) -> bool:
        """Say that the item is about to be sized, and hold the chunk for another lease."""
        now, lease_s = self._runtime.clock(), self._runtime.settings.lease_s

        def work(session: Session) -> bool:
            if not chunks.extend(session, self._claimed, now=now, lease_s=lease_s):
                return False
            chunks.attempt(session, self._claimed, item.line)
            return True

        return transact(self._runtime, work)

    def _store(self, part: _Slice, *, then: ChunkStatus, attempts: int | None = None) -> bool:
        """One transaction: answers, ends of items, the chunk, the counts of the batch; all or nothing."""
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
            if stored and then is ChunkStatus.DONE:
                batch_ended(runtime, session, self._claimed.tenant_id, self._claimed.batch_id)
            return stored

        stored = transact(self._runtime, work)
        if stored:
            self._count(part)
            log.info("chunk_stored", items=len(part.ended), how=then.value, duration_ms=self._spent_ms())
        return stored

    def _count(self, part: _Slice) -> None:
        metrics, states = self._runtime.metrics, Counter(one.state.value for one in part.ended)
        reused = Counter(part.reused)
        for state, count in states.items():
            metrics.items_ended(state, count - reused[state])
            metrics.items_ended(state, reused[state], reused=True)

    def _spent_ms(self) -> float:
        return round((time.monotonic() - self._began_s) * 1e3, 1)


def _calls(items: Sequence[Open]) -> Iterator[Sequence[Open]]:
    """The same items, which lie by kind, in parts that go together."""
    for kind, alike in groupby(items, key=lambda one: one[1].kind):
        same, most = list(alike), _SIZED_TOGETHER.get(Kind(kind), 1)
        yield from (same[start : start + most] for start in range(0, len(same), most))


def _subject(of: Asked) -> str:
    """What questions have in common that share tables: their model or application."""
    if of.resolved.architecture is not None:
        return of.resolved.architecture.id
    return "" if of.resolved.application is None else of.resolved.application.id
