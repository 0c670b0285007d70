"""Gathering: what several threads want done at the same moment is done once, by one of them, for all."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Work = Callable[[Sequence[Item]], Sequence[Outcome]]


class _Ticket(Generic[Item, Outcome]):
    """One thread's wish; it is called when its outcome is there, or when its thread is to work itself."""

    __slots__ = ("called", "done", "item", "outcome")

    def __init__(self, item: Item) -> None:
        self.item = item
        # Not an Event: that one is made of Python, and there is one for every wish.
        self.called: SimpleQueue[None] = SimpleQueue()
        self.done = False
        self.outcome: Outcome | None = None


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

    def do(self, item: Item, work: Work[Item, Outcome]) -> Outcome:
        """The outcome for `item`; `work` gives one for each item, in order.

        When a round fails, each thread works for its own item alone, so that nobody fails for another's sake.
        """
        ticket: _Ticket[Item, Outcome] = _Ticket(item)
        with self._lock:
            self._waiting.append(ticket)
            self._arrived(threading.get_ident())
            leads, self._busy = not self._busy, True
        if not leads:
            ticket.called.get()
        if not ticket.done:
            self._round(ticket, work)
        if not ticket.done:
            return _alone(item, work)
        return ticket.outcome  # type: ignore[return-value]  # done: `work` gave one

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
            self._all_here.wait_for(self._complete, self._patience_s)
            tickets, self._waiting = self._waiting, []
        try:
            if len(tickets) == 1:
                own.outcome, own.done = _alone(own.item, work), True
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


def _alone(item: Item, work: Work[Item, Outcome]) -> Outcome:
    [outcome] = work([item])
    return outcome


def _together(tickets: Sequence[_Ticket[Item, Outcome]], work: Work[Item, Outcome]) -> None:
    """Give each its outcome; none, when the work fails: what is wrong with it each finds out alone."""
    try:
        outcomes = list(zip(tickets, work([ticket.item for ticket in tickets]), strict=True))
    except Exception:  # noqa: BLE001 - raised again by whoever it is about
        return
    for ticket, outcome in outcomes:
        ticket.outcome, ticket.done = outcome, True
