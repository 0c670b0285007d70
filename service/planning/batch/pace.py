"""How long a slice of a chunk may go on: until its time is over, or a person's question waits for a worker."""

import time

from service.queue import QueueName
from service.runtime import Runtime

# A slice leaves the soft limit enough room for one slow item and for storing.
_SLICE_FRACTION = 0.4


class Pace:
    """The time of one claim."""

    def __init__(self, runtime: Runtime, *, look_every_s: float) -> None:
        self._runtime, self._look_every_s = runtime, look_every_s
        self._began_s = self._looked_s = time.monotonic()

    @property
    def spent_s(self) -> float:
        """Seconds since the chunk was claimed."""
        return time.monotonic() - self._began_s

    def over(self) -> bool:
        """Whether to stop here: the slice is over, or somebody waits."""
        return self.spent_s > self._runtime.settings.task_soft_limit_s * _SLICE_FRACTION or self.waited_for()

    def waited_for(self) -> bool:
        """Whether a person's question waits that no worker has taken; looked for now and then."""
        now_s = time.monotonic()
        if now_s - self._looked_s < self._look_every_s:
            return False
        self._looked_s = now_s
        return bool(self._runtime.queue.depth(QueueName.INTERACTIVE))
