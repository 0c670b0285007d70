"""A tenant's quota of open runs holds to the run, however many are asked for at one moment."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from service.access import Quota
from service.errors import RateLimitedError
from service.planning.submit import submit
from tests.planning.conftest import chat

_MOST = 4
_AT_ONCE = 6


def test_runs_that_are_asked_for_at_one_moment_are_counted_one_after_the_other(build, caller):
    caller = replace(caller, quota=Quota(open_runs=_MOST))
    processes = [build(), build()]
    start = threading.Barrier(_AT_ONCE)

    def asked(number: int) -> bool:
        start.wait()
        try:
            submit(processes[number % 2], caller, chat(isl_tokens=100 + number), request_id="req_1")
        except RateLimitedError:
            return False
        return True

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        assert sum(pool.map(asked, range(_AT_ONCE))) == _MOST
