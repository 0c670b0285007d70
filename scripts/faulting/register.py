"""Histories of quotes as registers: what the audit tells must be an order that every caller could have seen."""

import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripts.faulting.answer import Answer, Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a quote as its caller saw it; without a status nobody knows what became of it."""

    quote_id: str
    request_id: str
    invoked_s: float
    returned_s: float
    status: int | None

    @property
    def was_taken(self) -> bool:
        """Whether the caller was told that it was."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def was_refused(self) -> bool:
        """Whether the caller was told that it was not; a 503 may have been taken all the same."""
        return self.status is not None and 400 <= self.status < 500


class History:
    """Every step of every quote, thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: list[Step] = []
        self._numbers = itertools.count()

    def request_id(self) -> str:
        """A new id for a step, for the audit to tell."""
        return f"step-{next(self._numbers)}"

    def add(self, quote_id: str, request_id: str, answer: Answer) -> None:
        """A step came back, or its caller gave up."""
        now_s = time.monotonic()
        step = Step(
            quote_id=quote_id,
            request_id=request_id,
            invoked_s=now_s - answer.took_s,
            returned_s=now_s,
            status=answer.status,
        )
        with self._lock:
            self._steps.append(step)

    def check(self, audit: Mapping[str, Sequence[str]]) -> Iterator[Violation]:
        """What does not fit the audit: request ids of each quote's events, in the order of its versions."""
        by_quote: dict[str, list[Step]] = defaultdict(list)
        for step in self._steps:
            by_quote[step.quote_id].append(step)
        for quote_id, steps in by_quote.items():
            yield from _fits(quote_id, steps, audit.get(quote_id, ()))


def _fits(quote_id: str, steps: Sequence[Step], told: Sequence[str]) -> Iterator[Violation]:
    taken = {step.request_id: step for step in steps if step.request_id in told}
    for step in steps:
        times = told.count(step.request_id)
        if step.was_taken and times != 1:
            yield Violation("I2", f"a step of quote {quote_id} was acknowledged, and the audit tells it {times} times")
        elif step.was_refused and times:
            yield Violation("I8", f"a step of quote {quote_id} was refused with {step.status}, and was taken")
        elif times > 1:
            yield Violation("I2", f"a step of quote {quote_id} was taken {times} times")
    order = [taken[request_id] for request_id in told if request_id in taken]
    for before, after in itertools.pairwise(order):
        if after.returned_s < before.invoked_s:
            yield Violation("I8", f"quote {quote_id}: a step is told after one that began when it had ended")
