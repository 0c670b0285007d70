"""Prefer: wait - look at the row now and then, holding neither a transaction nor a lock in between."""

import time
from collections.abc import Callable

from service.access import Caller
from service.planning.reading import get_run
from service.planning.transact import read
from service.planning.view import RunView
from service.runtime import Runtime
from service.store import runs
from service.store.tables.runs import OPEN

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5
_GROWTH = 1.5


def wait_for_run(
    runtime: Runtime, caller: Caller, run_id: str, *, wait_s: float, sleep: Callable[[float], None] = time.sleep
) -> RunView:
    """The run as soon as it has ended, or as it is after `wait_s` seconds."""
    deadline = time.monotonic() + min(wait_s, runtime.settings.wait_max_s)
    pause_s = _FIRST_PAUSE_S
    while True:
        status = read(runtime, lambda session: runs.status_of(session, caller.tenant_id, run_id))
        left_s = deadline - time.monotonic()
        if status not in OPEN or left_s <= 0:
            return get_run(runtime, caller, run_id)
        sleep(min(pause_s, left_s))
        pause_s = min(pause_s * _GROWTH, _LONGEST_PAUSE_S)
