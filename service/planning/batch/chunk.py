"""A chunk of a batch is worked on: claim, size in one call what has no answer, store all in one transaction.

A worker that dies loses what it had not stored, at most the work of a slice; another claims the chunk when the lease
has run out. After two deaths without an answer in between, or where several items of one call ran out of time, they
are sized one by one, each noted before it is begun: the one that kills its worker again and again, or takes too long,
fails alone. A person's question ends a slice early, in the middle of the call: what is not found is queued again.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import structlog
from sqlalchemy.orm import Session

from service.errors import PlannerError
from service.planning.batch.asking import REFUSALS, Asked, asked, problem_of, told
from service.planning.batch.brief import Brief, Found, of_answer, sized
from service.planning.batch.feed import feed
from service.planning.batch.slice import Slice
from service.planning.heard import batch_ended
from service.planning.transact import read, transact
from service.planning.versions import current_versions
from service.queue import QueueName, TimeLimitReached
from service.quoting.indicative import weights
from service.runtime import Runtime
from service.sizing.table import FloatArray
from service.store import chunks, results
from service.store.chunks import Claimed, OpenItem
from service.store.runs import Versions
from service.store.tables.batches import ChunkStatus, ItemState

log = structlog.get_logger(__name__)

Solve = Callable[[Runtime, Sequence[Asked], Versions, FloatArray], Iterator[Sequence[tuple[int, Found]]]]
Open = tuple[OpenItem, Asked]

# A slice leaves the soft limit enough room for one slow item and for storing.
_SLICE_FRACTION = 0.4
# So long a person's question may wait for a worker that sizes items, and for one step of the engine.
_LOOK_EVERY_S = 0.05
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
        self._solve, self._look_every_s = solve, look_every_s
        self._runtime = runtime
        self._claimed = claimed
        self._versions: Versions = current_versions(runtime)
        self._weight: FloatArray = weights(runtime.catalog.hardware, runtime.price_book)
        self._known: dict[str, bool] = {}
        self._begun: Sequence[Sequence[Open]] = ()
        self._began_s = self._looked_s = self._begun_s = time.monotonic()
        self._items = read(runtime, lambda session: chunks.open_items(session, claimed.batch_id, claimed.number))

    def together(self) -> bool:
        """Everything, until the slice is over or somebody waits; stored in one transaction."""
        part, attempts = Slice(), None
        try:
            self._sized(part, self._read(part))
        except TimeLimitReached:
            if not self._blame(part):
                # Nobody knows which of them it was: the next claim sizes them one by one.
                attempts = self._runtime.settings.max_attempts
        if attempts is None and part.ended:
            attempts = 0
        more = len(part.ended) < len(self._items)
        return self._store(part, then=ChunkStatus.QUEUED if more else ChunkStatus.DONE, attempts=attempts)

    def _read(self, part: Slice) -> list[Open]:
        """What can be sized of the items, those of one model after another; what is read when somebody waits."""
        found: list[Open] = []
        for start in range(0, len(self._items), _READ_TOGETHER):
            if start and self._waited_for():
                break
            found += self._with_answers(part, self._understood(part, self._items[start : start + _READ_TOGETHER]))
        return sorted(found, key=lambda pair: (pair[1].kind, _subject(pair[1])))

    def _blame(self, part: Slice) -> bool:
        """The question that was at work when time was up fails, where it had most of the time for itself.

        False where several had it together.
        """
        limit_s = self._runtime.settings.task_soft_limit_s
        if not self._begun or time.monotonic() - self._begun_s < limit_s * _OWN_FAULT_FRACTION:
            return True
        if len(self._begun) > 1:
            return False
        message = f"Sizing took longer than {limit_s} s; narrow the constraints."
        for item, of in self._begun[0]:
            part.end(item, ItemState.FAILED, of=of, code="time_limit", problem=told("time_limit", message))
            log.warning("item_too_slow", line=item.line)
        return True

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
            over = not part.ended or self._gives_way(part)
            then = ChunkStatus.QUEUED if over else ChunkStatus.RUNNING
            last = place == len(self._items) and part.ended
            if not self._store(part, then=ChunkStatus.DONE if last else then):
                return False
            if over:
                break
        return True

    def _alone(self, part: Slice, item: OpenItem) -> None:
        try:
            self._sized(part, self._with_answers(part, self._understood(part, [item])))
        except TimeLimitReached:
            self._blame(part)

    def _understood(self, part: Slice, items: list[OpenItem]) -> list[Open]:
        """The items that can be sized; the others are refused."""
        found = []
        for item in items:
            try:
                found.append((item, asked(self._runtime, item.asked, self._versions)))
            except REFUSALS as error:
                part.end(item, ItemState.REFUSED, code=error.code, problem=problem_of(error))
        return found

    def _with_answers(self, part: Slice, items: list[Open]) -> list[Open]:
        """The items with what is known of their answers looked up."""
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
        return items

    def _sized(self, part: Slice, items: Sequence[Open]) -> None:
        """Ends of the items, until it is time to stop; of equal questions one is sized, and its answer is of all."""
        asking: dict[str, list[Open]] = {}
        for one in items:
            if one[1].digest in self._known:
                self._answered(part, [one], fresh=False)
            else:
                asking.setdefault(one[1].digest, []).append(one)
        if asking and not self._gives_way(part):
            self._call(part, list(asking.values()))

    def _call(self, part: Slice, questions: Sequence[Sequence[Open]]) -> bool:
        """One call of the engine for so many questions, each with the items that ask it; False where it was ended."""
        for ended in self._found(questions):
            for place, answer in ended:
                if answer is None:
                    if not self._call(part, [questions[place]]):
                        return False
                else:
                    self._end(part, questions[place], answer)
            if self._gives_way(part):
                return False
        return True

    def _end(self, part: Slice, items: Sequence[Open], answer: Brief | PlannerError) -> None:
        """What the engine said is the end of all who asked it."""
        if isinstance(answer, PlannerError):
            state = ItemState.REFUSED if isinstance(answer, REFUSALS) else ItemState.FAILED
            for item, of in items:
                part.end(item, state, of=of, code=answer.code, problem=problem_of(answer))
            return
        digest = items[0][1].digest
        part.answers[digest], self._known[digest] = answer, answer.feasible
        self._answered(part, items, fresh=True)

    def _answered(self, part: Slice, items: Sequence[Open], *, fresh: bool) -> None:
        """Their question has its answer; `fresh`, where it was sized for the first of them."""
        for place, (item, of) in enumerate(items):
            state = ItemState.DONE if self._known[of.digest] else ItemState.INFEASIBLE
            if place or not fresh:
                part.reused.append(state.value)
            part.end(item, state, of=of)

    def _found(self, questions: Sequence[Sequence[Open]]) -> Iterator[Sequence[tuple[int, Found]]]:
        """What the engine answers as it does; where it breaks on several, what is left is to be tried by itself."""
        left, began_s = set(range(len(questions))), time.monotonic()
        self._begun, self._begun_s = questions, began_s
        try:
            steps = self._solve(self._runtime, [items[0][1] for items in questions], self._versions, self._weight)
            while (ended := next(steps, None)) is not None:
                self._begun = ()
                left.difference_update(place for place, _ in ended)
                yield ended
                # Some of them may have had a call of their own in between.
                self._begun, self._begun_s = questions, began_s
        except TimeLimitReached:
            raise
        except PlannerError as error:
            yield [(0, error)] if len(questions) == 1 else _apart(left, error)
        except Exception as error:
            if len(questions) > 1:
                yield _apart(left, error)
            else:
                # What it says may quote the customer's question. The line tells types and places.
                log.exception("engine_error", error=type(error).__name__, line=questions[0][0][0].line)
                yield [(0, _EngineError())]
        self._begun = ()

    @property
    def _slice_s(self) -> float:
        return self._runtime.settings.task_soft_limit_s * _SLICE_FRACTION

    def _gives_way(self, part: Slice) -> bool:
        """Whether to stop here: the slice is over, or somebody waits. Never before something has ended."""
        if not part.ended:
            return False
        return time.monotonic() - self._began_s > self._slice_s or self._waited_for()

    def _waited_for(self) -> bool:
        """Whether a person's question waits that no worker has taken; looked for now and then."""
        now_s = time.monotonic()
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

    def _store(self, part: Slice, *, then: ChunkStatus, attempts: int | None = None) -> bool:
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

    def _count(self, part: Slice) -> None:
        metrics, states = self._runtime.metrics, Counter(one.state.value for one in part.ended)
        reused = Counter(part.reused)
        for state, count in states.items():
            metrics.items_ended(state, count - reused[state])
            metrics.items_ended(state, reused[state], reused=True)

    def _spent_ms(self) -> float:
        return round((time.monotonic() - self._began_s) * 1e3, 1)


def _apart(left: set[int], error: Exception) -> list[tuple[int, Found]]:
    """The engine broke on several questions: each that is left is for a call of its own."""
    log.warning("sized_apart", error=type(error).__name__, items=len(left))
    return [(place, None) for place in sorted(left)]


def _subject(of: Asked) -> str:
    """What questions have in common that share tables: their model or application."""
    if of.resolved.architecture is not None:
        return of.resolved.architecture.id
    return "" if of.resolved.application is None else of.resolved.application.id
