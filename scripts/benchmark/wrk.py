"""wrk, the load client: it costs little of the cores that the server needs. Found, run, and understood."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scripts import apt
from scripts.trouble import Trouble

_SCRIPT = Path(__file__).with_name("load.lua")
_SAYS = "BENCH "
NAME_MARK = "@name@"
# wrk waits for answers that are under way when its time is over, and connects before it starts.
_GRACE_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is sent again and again. `NAME_MARK` in the body becomes another word in each request."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one stretch of load came to. `errors` are refusals (4xx, 5xx) and broken connections."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int

    @property
    def requests_s(self) -> float:
        """Requests answered per second."""
        return self.requests / self.seconds


def need(say: Callable[[str], None]) -> str:
    """Where wrk is; installed from Debian when it is missing and we may, else trouble with the way out."""
    found = shutil.which("wrk")
    if found is None and apt.can_install():
        say("Installing the load client wrk with apt-get ...")
        apt.install("wrk")
        found = shutil.which("wrk")
    if found is None:
        raise Trouble(
            "The HTTP rows need the load client wrk: install it (Debian, Ubuntu: apt-get install wrk), "
            "or measure without them: scripts/bench --only engine --only tasks --only memory"
        )
    return found


def run(program: str, request: Request, *, connections: int, seconds: float, series: str) -> Load:
    """Load the server for that long with one thread; trouble when wrk says nothing that can be understood."""
    environ = {
        **os.environ,
        "BENCH_METHOD": request.method,
        "BENCH_HEADERS": "\n".join(f"{name}: {value}" for name, value in request.headers.items()),
        "BENCH_BODY": request.body,
        "BENCH_MARK": NAME_MARK if NAME_MARK in request.body else "",
        "BENCH_SERIES": series,
    }
    command = [program, "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "10s", "-s", str(_SCRIPT)]
    done = subprocess.run(
        [*command, request.url],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds + _GRACE_S,
        check=False,
    )
    return parse(done.stdout, done.stderr)


def parse(output: str, complaints: str = "") -> Load:
    """What the line that load.lua adds to wrk's output says."""
    told = [line for line in output.splitlines() if line.startswith(_SAYS)]
    if not told:
        words = (complaints.strip() or output.strip() or "nothing").splitlines()
        raise Trouble(f"wrk did not measure: {words[-1]}")
    said = json.loads(told[-1].removeprefix(_SAYS))
    if not said["requests"]:
        raise Trouble(f"No request was answered: {said['broken']} broken connections.")
    return Load(
        requests=said["requests"],
        seconds=said["duration_us"] / 1e6,
        p50_ms=said["p50_us"] / 1e3,
        p99_ms=said["p99_us"] / 1e3,
        errors=said["refused"] + said["broken"],
    )
