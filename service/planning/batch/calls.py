"""Calls of the engine for the questions of a chunk: what they find ends items, and where it breaks only some of them.

When time is up in the middle of one, what has ended until then stands.
"""

import time
from collections.abc import Callable, Iterator, Sequence

import structlog

from service.errors import PlannerError
from service.metrics import Engine
from service.planning.batch.asking import REFUSALS, Asked, problem_of
from service.planning.batch.brief import Brief, Found
from service.planning.batch.pace import Pace
from service.planning.batch.questions import Open
from service.planning.batch.slice import Slice
from service.queue import TimeLimitReached
from service.quoting.indicative import weights
from service.runtime import Runtime
from service.sizing.table import FloatArray
from service.store.runs import Versions
from service.store.tables.batches import ItemState

log = structlog.get_logger(__name__)

Solve = Callable[[Runtime, Sequence[Asked], Versions, FloatArray], Iterator[Sequence[tuple[int, Found]]]]


class _EngineError(PlannerError):
    """The engine broke on a question."""

    code = "engine_error"

    def __init__(self) -> None:
        where = "the operator finds the reason under the batch and the line"
        super().__init__(f"The engine failed on this question; {where}.")


class Calls:
    """The calls of one claim; `known` says of questions that have an answer whether it is feasible."""

    def __init__(
        self, runtime: Runtime, versions: Versions, *, solve: Solve, known: dict[str, bool], pace: Pace
    ) -> None:
        self._runtime, self._versions, self._solve = runtime, versions, solve
        self._known, self._pace = known, pace
        self._weight: FloatArray = weights(runtime.catalog.hardware, runtime.price_book)

    def sized(self, part: Slice, items: Sequence[Open]) -> None:
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
                if answer is not None:
                    self._end(part, questions[place], answer)
            if self._gives_way(part):
                return False
            # What was found beside them is theirs already, so that nothing is lost where one of these gives way.
            if not all(self._call(part, [questions[place]]) for place, answer in ended if answer is None):
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
            part.end(item, state, of=of)
            if place or not fresh:
                part.reused.append(state.value)

    def _found(self, questions: Sequence[Sequence[Open]]) -> Iterator[Sequence[tuple[int, Found]]]:
        """What the engine answers as it does; where it breaks on several, what is left is to be tried by itself."""
        left = set(range(len(questions)))
        try:
            for ended in self._steps([items[0][1] for items in questions]):
                left.difference_update(place for place, _ in ended)
                yield ended
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

    def _steps(self, questions: Sequence[Asked]) -> Iterator[Sequence[tuple[int, Found]]]:
        """The engine's own steps, in a span and timed: what becomes of them in between is ours."""
        kind, computed_s = questions[0].kind, 0.0
        with self._runtime.tracing.span("size", items=len(questions), kind=kind):
            steps = self._solve(self._runtime, questions, self._versions, self._weight)
            try:
                while True:
                    began_s = time.perf_counter()
                    ended = next(steps, None)
                    computed_s += time.perf_counter() - began_s
                    if ended is None:
                        break
                    yield ended
            finally:
                self._runtime.metrics.engine_called(Engine.BATCH, kind, seconds=computed_s)

    def _gives_way(self, part: Slice) -> bool:
        """Whether to stop here. Never before something has ended."""
        return bool(part.ended) and self._pace.over()


def _apart(left: set[int], error: Exception) -> list[tuple[int, Found]]:
    """The engine broke on several questions: each that is left is for a call of its own."""
    log.warning("sized_apart", error=type(error).__name__, items=len(left))
    return [(place, None) for place in sorted(left)]
