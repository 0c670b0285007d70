"""An occurrence of a schedule: workloads selected, sized and compared, where nothing is new and where everything is."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx

from scripts.benchmark import procfs
from scripts.benchmark.altered import altered
from scripts.benchmark.installation import Installation, pids
from scripts.benchmark.workloads import workloads
from scripts.trouble import Trouble
from service.access import Role

_LABELS = {"bench": "occurrence"}
_WORKER = "worker"
_WITHIN_S = 1800.0
_POLL_S = 0.25
_CHANGED = ("id: inference.framework_reserve_gb, value: 3.0", "id: inference.framework_reserve_gb, value: 4.0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resized:
    """One occurrence [s]: from the request until it was done, and until all its results were read."""

    items: int
    moved: int
    done_s: float
    read_s: float
    cpu_s: float

    @property
    def items_s(self) -> float:
        """Workloads per second, until the last of the results was read."""
        return self.items / self.read_s


@dataclass(frozen=True, slots=True, kw_only=True)
class OccurrenceFigures:
    """The same workloads under the versions that answered them, and under other assumptions."""

    known: Resized
    anew: Resized


def measure(installation: Installation, *, items: int, say: Callable[[str], None]) -> OccurrenceFigures:
    """Post workloads and let them be answered; then two occurrences of a schedule that selects all of them."""
    say(f"occurrences: {items:,} workloads to begin with")
    with installation.client() as client:
        _answered(client, items)
    with installation.client(Role.ADMIN) as admin:
        body = {"name": "bench", "triggers": ["catalog"], "selection": {"labels": _LABELS}}
        schedule = _checked(admin.post("/v1/schedules", json=body), HTTPStatus.CREATED)
        say("occurrences: one in which nothing is new")
        known = _resized(installation, admin, schedule["id"])
        with _other_assumptions(installation):
            say("occurrences: one that sizes everything anew")
            anew = _resized(installation, admin, schedule["id"])
    installation.check_alive()
    return OccurrenceFigures(known=known, anew=anew)


def _answered(client: httpx.Client, items: int) -> None:
    for document in workloads(items):
        answer = client.post("/v1/workloads", json={**document, "labels": _LABELS})
        if not answer.is_success:
            raise Trouble(f"A workload was not taken: HTTP {answer.status_code} {answer.text[:300]}")
    _wait(lambda: not any(client.get(f"/v1/runs?limit=1&status={s}").json()["items"] for s in ("queued", "running")))


@contextmanager
def _other_assumptions(installation: Installation) -> Iterator[None]:
    """The worker is started anew with another assumption, and afterwards with its own ones again."""
    folder = installation.plan.settings.data_dir / "other-assumptions"
    installation.renew(_WORKER, altered(folder, "assumptions.yaml", lambda text: text.replace(*_CHANGED)))
    try:
        yield
    finally:
        installation.renew(_WORKER, {})


def _resized(installation: Installation, client: httpx.Client, schedule_id: str) -> Resized:
    members = [pid for child in installation.product for pid in pids(child)]
    before, started_s = procfs.cpu_s(members), time.perf_counter()
    asked = _checked(client.post(f"/v1/schedules/{schedule_id}/run"), HTTPStatus.ACCEPTED, HTTPStatus.CREATED)
    place = f"/v1/occurrences/{asked['id']}"
    _wait(lambda: client.get(place).json()["status"] == "done")
    done_s = time.perf_counter() - started_s
    client.get(f"{place}/results").raise_for_status()
    read_s = time.perf_counter() - started_s
    found = client.get(place).json()
    if found["error_code"] is not None or found["items"] != found["compared_items"]:
        raise Trouble(f"An occurrence did not end as it should: {found}")
    return Resized(
        items=found["items"],
        moved=found["summary"]["outcomes"]["moved"],
        done_s=done_s,
        read_s=read_s,
        cpu_s=procfs.cpu_between(before, procfs.cpu_s(members)),
    )


def _wait(ended: Callable[[], bool]) -> None:
    until_s = time.monotonic() + _WITHIN_S
    while not ended():
        if time.monotonic() > until_s:
            raise Trouble(f"The workloads of the bench were not sized within {_WITHIN_S:g} s.")
        time.sleep(_POLL_S)


def _checked(answer: httpx.Response, *wanted: HTTPStatus) -> Mapping[str, Any]:
    if answer.status_code not in wanted:
        raise Trouble(f"An occurrence could not be measured: HTTP {answer.status_code} {answer.text[:300]}")
    found: Mapping[str, Any] = answer.json()
    return found
