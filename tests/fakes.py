"""Things that stand in for slow or unsteady neighbours: a list for a queue, a clock that stands still."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from service.queue import ROUTES, QueueName, TaskName

PUBLIC = "93.184.215.14"
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def resolves_to_public(_host: str, _timeout_s: float) -> list[str]:
    """A resolver that knows every name, and asks nobody."""
    return [PUBLIC]


@dataclass(slots=True)
class ListQueue:
    """A queue that keeps what was rung in a list, and can be down."""

    sent: list[tuple[TaskName, tuple[str, ...]]] = field(default_factory=list)
    refused: int = 0
    up: bool = True

    def enqueue(self, task: TaskName, *ids: str, queue: QueueName | None = None) -> bool:
        assert (queue or ROUTES[task]) in set(QueueName)
        if not self.up:
            self.refused += 1
            return False
        self.sent.append((task, ids))
        return True

    def depth(self, queue: QueueName) -> int | None:
        return sum(ROUTES[task] == queue for task, _ in self.sent) if self.up else None

    def ping(self) -> str | None:
        return None if self.up else "broker does not take messages (ListQueue is down)"

    def take(self) -> str:
        """The oldest message, as a worker takes it."""
        _, (entity_id,) = self.sent.pop(0)
        return entity_id


@dataclass(slots=True)
class FixedClock:
    """A clock that moves when it is told to."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
