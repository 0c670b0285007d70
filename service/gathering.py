"""Gathering: what several threads want done at the same moment is done once, by one of them, for all."""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class _Ticket(Generic[Item, Outcome]):
    """One thread's wish; `called` is set when it is done, or when this thread's turn to do the next round has come."""

    __slots__ = ("called", "done", "error", "item", "outcome")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.called = threading.Event()
        self.done = False
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None


class Gathering(Generic[Item, Outcome]):
    """While one thread works, others gather; then one of them works for all that have gathered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Ticket[Item, Outcome]] = []
        self._busy = False

    def do(self, item: Item, work: Callable[[Sequence[Item]], Sequence[Outcome]]) -> Outcome:
        """The outcome for `item`; `work` gives one for each item, in order. What it raises, everybody in it gets."""
        ticket: _Ticket[Item, Outcome] = _Ticket(item)
        with self._lock:
            self._waiting.append(ticket)
            leads, self._busy = not self._busy, True
        if not leads:
            ticket.called.wait()
        if not ticket.done:
            self._round(work)
        if ticket.error is not None:
            raise ticket.error
        assert ticket.done
        return ticket.outcome  # type: ignore[return-value]  # done without an error: `work` gave one

    def _round(self, work: Callable[[Sequence[Item]], Sequence[Outcome]]) -> None:
        with self._lock:
            tickets, self._waiting = self._waiting, []
        try:
            outcomes = work([ticket.item for ticket in tickets])
            for ticket, outcome in zip(tickets, outcomes, strict=True):
                ticket.outcome = outcome
        except BaseException as error:  # noqa: BLE001 - each thread raises it in its own place
            for ticket in tickets:
                ticket.error = error
        finally:
            for ticket in tickets:
                ticket.done = True
                ticket.called.set()
            with self._lock:
                self._busy = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].called.set()
