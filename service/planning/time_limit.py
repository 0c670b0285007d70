"""Time is up: whose fault that is, judged by what was computed and not by what passed.

A worker is stopped by the clock on the wall (the soft limit asks, the hard one kills): that alone ends what hangs and
computes nothing. But that clock runs on while the process is frozen (stopped, on a paused machine) and while others
have the processor, so it says nothing about a question. The CPU time of the thread that sizes does: it stands still
whenever the thread does. So

- what has computed for most of the limit fails as `time_limit`, at once;
- what has not is spared: it is tried again, the attempt does not count towards `poison`, and after MOST_SPARES of
  those it fails as `time_limit` all the same, with words that say that it was given no time. So what waits for ever
  for something else ends too, after as many limits.

A lease runs on the wall as well. Who wakes up after it has run out may find that another holds the work by now: the
fencing token then refuses what the first one writes, its spare too. If nobody took it, the token is still its own.
"""

import time

from service.settings import Settings

TIME_LIMIT = "time_limit"
# So often something is tried again that was stopped before it could compute.
MOST_SPARES = 3
# Whoever has computed for so much of the limit does not get it again.
_OWN_FAULT_FRACTION = 0.5


class Computed:
    """CPU time of this thread from now on."""

    def __init__(self) -> None:
        self._began_s = time.thread_time()

    @property
    def seconds(self) -> float:
        """So many until now."""
        return time.thread_time() - self._began_s


def given_up(settings: Settings, computed: Computed, *, spares: int) -> str | None:
    """Why what was stopped, and had been spared so often before, is not tried again; None where it is."""
    limit_s = settings.task_soft_limit_s
    if computed.seconds >= limit_s * _OWN_FAULT_FRACTION:
        return f"Sizing took longer than {limit_s} s; narrow the constraints."
    if spares >= MOST_SPARES:
        return (
            f"Stopped after {limit_s} s each of {spares + 1} times, having computed for {computed.seconds:.1f} s the "
            "last time: the host did not give it time, or it waited for something. Try again."
        )
    return None
