"""Gathering: what several threads want done at the same moment is done once, by a thread of its own, for all."""

import contextvars
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, NamedTuple, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Work = Callable[[Sequence[Item]], Sequence[Outcome]]
Then = Callable[[Outcome], Any]
# What is left to do for somebody who was told: done once all others of the round are told too.
Rest = Callable[[], None] | None


class _Wish(NamedTuple, Generic[Item, Outcome]):
    """What somebody wants done, and whom to tell what came of it."""

    item: Item
    work: Work[Item, Outcome]
    done: Callable[[Outcome], Rest]
    failed: Callable[[Exception], Rest]


class Gathering(Generic[Item, Outcome]):
    """While its thread works, wishes gather; then it works for all that have gathered.

    One thread, because Python runs one at a time: workers that took turns would wake each other at every step, and
    that costs as much as the steps do. Whoever was answered in one round tends to ask again at once, and a round costs
    nearly the same for one as for many: so it waits for as many as there were, for as long as they keep coming.
    """

    def __init__(
        self,
        *,
        telling: Callable[[], AbstractContextManager[None]] = nullcontext,
        linger_s: float = 0.0005,
        most_linger_s: float = 0.003,
        idle_s: float = 10.0,
    ) -> None:
        """All that are told the outcomes of one round are told within one `telling`."""
        self._telling = telling
        self._linger_s = linger_s
        self._most_linger_s = most_linger_s
        self._idle_s = idle_s
        self._wishes: SimpleQueue[_Wish[Item, Outcome]] = SimpleQueue()
        self._expected = 0
        # So many wishes are waited for, if any; whoever brings the last of them says so.
        self._awaited = 0
        self._complete: SimpleQueue[None] = SimpleQueue()
        self._working = threading.Lock()

    def waiting(self) -> int:
        """So many wishes are not worked on yet."""
        return self._wishes.qsize()

    def leave(
        self,
        item: Item,
        work: Work[Item, Outcome],
        *,
        done: Callable[[Outcome], Rest],
        failed: Callable[[Exception], Rest],
    ) -> None:
        """Have it done, and do not wait: the thread calls `done` with the outcome, or `failed`, and what these return
        once everybody of the round is told; none of them may raise.

        `work` gives one outcome for each item, in order. When a round fails, each item is worked on alone, so that
        nobody fails for another's sake. Raises RuntimeError, and nothing is done, where no thread is to be had.
        """
        self._have_worked()
        self._wishes.put(_Wish(item, work, done, failed))
        if 0 < self._awaited <= self.waiting():
            self._complete.put(None)
        # The thread may have made up its mind to end before it saw this.
        self._have_worked()

    def do(self, item: Item, work: Work[Item, Outcome], *, then: Then[Outcome] = lambda outcome: outcome) -> Any:
        """Have it done and wait for what `then` makes of the outcome; an error of either is raised here."""
        context = contextvars.copy_context()
        made: SimpleQueue[tuple[Any, Exception | None]] = SimpleQueue()

        def done(outcome: Outcome) -> None:
            try:
                # What is bound in it, ids of the request for example, is of the thread that waits.
                made.put((context.run(then, outcome), None))
            except Exception as error:  # noqa: BLE001 - raised by the thread whose it is
                made.put((None, error))

        self.leave(item, work, done=done, failed=lambda error: made.put((None, error)))
        value, error = made.get()
        if error is not None:
            raise error
        return value

    def _have_worked(self) -> None:
        """Begun with the first wish: a process that is forked has no threads, and most runtimes have no wishes."""
        if self._working.locked() or not self._working.acquire(blocking=False):
            return
        try:
            self._start()
        except RuntimeError:
            # No thread is to be had at the moment: whoever comes next tries again.
            self._working.release()
            raise

    def _start(self) -> None:
        threading.Thread(target=self._work, name="gathering", daemon=True).start()

    def _work(self) -> None:
        while True:
            try:
                while True:
                    # Who was answered asks again, who waits is there already.
                    self._expected = self._next_round() + self.waiting()
            except Empty:
                pass
            finally:
                # Whatever ended it, others may begin.
                self._working.release()
            # What came while this thread made up its mind to end is its own to do, unless another one has begun.
            if not (self.waiting() and self._working.acquire(blocking=False)):
                return

    def _next_round(self) -> int:
        """Work for all who are there; Empty where nobody comes."""
        wishes = [self._wishes.get(timeout=self._idle_s), *self._others()]
        self._round(wishes)
        return len(wishes)

    def _others(self) -> list[_Wish[Item, Outcome]]:
        """All that are there by now, and that come while others come and more are expected."""
        known, until_s = -1, time.monotonic() + self._most_linger_s
        # What somebody says too late is not heard by the next round.
        self._complete, self._awaited = SimpleQueue(), self._expected - 1
        while known < (count := self.waiting()) < self._awaited and time.monotonic() < until_s:
            known = count
            # Woken by the last one, it is woken once; woken by each, it would take the interpreter from the others.
            with suppress(Empty):
                self._complete.get(timeout=self._linger_s)
        self._awaited = 0
        # Nobody else takes any away.
        return [self._wishes.get() for _ in range(self.waiting())]

    def _round(self, wishes: Sequence[_Wish[Item, Outcome]]) -> None:
        try:
            outcomes = list(zip(wishes, wishes[0].work([wish.item for wish in wishes]), strict=True))
        except Exception as error:  # noqa: BLE001 - told to whoever it is about
            if len(wishes) == 1:
                _finish([wishes[0].failed(error)])
                return
            for wish in wishes:
                self._round([wish])
            return
        with self._telling():
            rests = [wish.done(outcome) for wish, outcome in outcomes]
        _finish(rests)


def _finish(rests: Iterable[Rest]) -> None:
    """One right after the other: whoever is woken by the first takes the interpreter away from all that follow."""
    for rest in rests:
        if rest is not None:
            rest()
