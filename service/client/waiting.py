"""Waiting for the end of what goes on at the server: it is looked at ever more seldom, and not for ever."""

import time

from service.client.patience import Patience
from service.client.problem import UnfinishedError

# The server restarts now and then; a wait that outlasts that is not lost.
UNREACHABLE_WHILE_WAITING_S = 30.0
WHILE_WAITING = Patience(unreachable_s=UNREACHABLE_WHILE_WAITING_S)
_POLL_S = 0.5
_LONGEST_POLL_S = 2.0
_GROWTH = 1.5


class Wait:
    """One wait, which began as this was made."""

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._deadline, self._pause_s = time.monotonic() + within_s, _POLL_S

    def pause(self, still: str) -> None:
        """Until the next look; UnfinishedError, with what it `still` was, where that would take too long."""
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise UnfinishedError(f"{still} after {self._within_s:g} s; it goes on.")
        time.sleep(min(self._pause_s, left_s))
        self._pause_s = min(self._pause_s * _GROWTH, _LONGEST_POLL_S)
