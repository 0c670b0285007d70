"""Gathering: what several threads want done at the same moment is done once, by one of them, for all."""

import contextvars
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Work = Callable[[Sequence[Item]], Sequence[Outcome]]
Then = Callable[[Outcome], Any]


class _Ticket(Generic[Item, Outcome]):
    """One thread's wish; it is called when its outcome is there, or when its thread is to work itself."""

    __slots__ = ("_context", "_then", "called", "done", "error", "item", "made")

    def __init__(self, item: Item, then: Then[Outcome]) -> None:
        self.item = item
        self._then = then
        # What is bound in it, ids of the request for example, is of this thread alone.
        self._context = contextvars.copy_context()
        # Not an Event: that one is made of Python, and there is one for every wish.
        self.called: SimpleQueue[None] = SimpleQueue()
        self.done = False
        self.made: Any = None
        self.error: Exception | None = None

    def settle(self, outcome: Outcome) -> None:
        """The work is done, so whatever is wrong with what follows is told, and nothing is done again."""
        try:
            self.made = self._context.run(self._then, outcome)
        except Exception as error:  # noqa: BLE001 - raised by the thread whose it is
            self.error = error
        self.done = True


class Gathering(Generic[Item, Outcome]):
    """While one thread works, others gather; then one of them works for all that have gathered.

    Threads that are on their way say so beforehand, and a round waits a moment for them, and for as many as came to the
    round before: their clients tend to ask again at once. Without that the interpreter, which runs one thread at a
    time, would bring the first of them here alone, and the others would have to wait for a round of one.
    """

    def __init__(self, *, patience_s: float = 0.003) -> None:
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._all_here = threading.Condition(self._lock)
        self._waiting: list[_Ticket[Item, Outcome]] = []
        self._expected: set[int] = set()
        self._last_round = 1
        self._busy = False

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Says that this thread may be about to call `do`; it is waited for until it has, or has left."""
        thread = threading.get_ident()
        with self._lock:
            self._expected.add(thread)
        try:
            yield
        finally:
            with self._lock:
                self._arrived(thread)

    def do(self, item: Item, work: Work[Item, Outcome], *, then: Then[Outcome] = lambda outcome: outcome) -> Any:
        """What `then` makes of the outcome for `item`; `work` gives one for each item, in order.

        When a round fails, each thread works for its own item alone, so that nobody fails for another's sake. Whoever
        has worked for all also makes of the outcomes what is wanted: threads that were woken for that would take the
        interpreter from each other at every step, and that costs as much as the steps do.
        """
        ticket: _Ticket[Item, Outcome] = _Ticket(item, then)
        with self._lock:
            self._waiting.append(ticket)
            self._arrived(threading.get_ident())
            leads, self._busy = not self._busy, True
        if not leads:
            ticket.called.get()
        if not ticket.done:
            self._round(ticket, work)
        if not ticket.done:
            _alone(ticket, work)
        if ticket.error is not None:
            raise ticket.error
        return ticket.made

    def _arrived(self, thread: int) -> None:
        self._expected.discard(thread)
        if self._complete():
            self._all_here.notify_all()

    def _complete(self) -> bool:
        return not self._expected and len(self._waiting) >= self._last_round

    def _round(self, own: _Ticket[Item, Outcome], work: Work[Item, Outcome]) -> None:
        """Work for all that wait, this thread among them; or do nothing when its round has failed without it."""
        with self._lock:
            if own not in self._waiting:
                return
            if not self._all_here.wait_for(self._complete, self._patience_s):
                # Whoever takes longer than that is not waited for again.
                self._expected.clear()
            tickets, self._waiting = self._waiting, []
        try:
            if len(tickets) == 1:
                _alone(own, work)
            else:
                _together(tickets, work)
        finally:
            for ticket in tickets:
                ticket.called.put(None)
            with self._lock:
                self._last_round = sum(ticket.done for ticket in tickets)
                self._busy = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].called.put(None)


def _alone(ticket: _Ticket[Item, Outcome], work: Work[Item, Outcome]) -> None:
    [outcome] = work([ticket.item])
    ticket.settle(outcome)


def _together(tickets: Sequence[_Ticket[Item, Outcome]], work: Work[Item, Outcome]) -> None:
    """Give each its outcome; none, when the work fails: what is wrong with it each finds out alone."""
    try:
        outcomes = list(zip(tickets, work([ticket.item for ticket in tickets]), strict=True))
    except Exception:  # noqa: BLE001 - raised again by whoever it is about
        return
    for ticket, outcome in outcomes:
        ticket.settle(outcome)
