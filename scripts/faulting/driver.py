"""The driver: people of several tenants who call the web processes, and note in the ledger what they hear."""

import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from scripts import nearby
from scripts.faulting.answer import Answer
from scripts.faulting.ledger import ENDED, Job, Ledger
from scripts.faulting.rig import Rig
from service.access import Role
from service.planning.keys import create_key, create_tenant
from service.runtime import Runtime, build_runtime

TENANTS = ("acme", "bolt", "cyan")
_CALL_S = 35.0
# A client of ours waits for as long as the service asks it to, and for no longer than this between two tries.
_LONGEST_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A key of one role of one tenant; the canary stands in everything that the tenant writes."""

    tenant: str
    tenant_id: str
    role: Role
    token: str
    canary: str


def make_people(runtime: Runtime, ledger: Ledger) -> dict[str, dict[Role, Person]]:
    """Every tenant's people, by tenant and role."""
    people = {}
    for tenant in TENANTS:
        canary = f"canary{secrets.token_hex(8)}"
        ledger.canaries[tenant] = canary.encode()
        tenant_id = create_tenant(runtime, tenant)
        people[tenant] = {
            role: Person(
                tenant=tenant,
                tenant_id=tenant_id,
                role=role,
                token=create_key(runtime, tenant_id, principal=f"{role} {canary}", role=role).token,
                canary=canary,
            )
            for role in Role
        }
    return people


def _client() -> httpx.Client:
    limits = httpx.Limits(max_connections=400, max_keepalive_connections=50)
    return httpx.Client(timeout=_CALL_S, trust_env=False, limits=limits, verify=nearby.CLEAR)


class Driver:
    """Speaks HTTP to the web processes in turn; thread-safe."""

    def __init__(self, rig: Rig, ledger: Ledger) -> None:
        self.rig = rig
        self.ledger = ledger
        self.runtime = build_runtime(rig.direct)
        self.people = make_people(self.runtime, ledger)
        self._http = _client()
        self._turn = 0
        self._lock = threading.Lock()

    def hang_up(self) -> None:
        """Close every connection: those that nobody uses would be held against the service."""
        self._http.close()
        self._http = _client()

    def close(self) -> None:
        """Hang up for good."""
        self._http.close()
        self.runtime.sessions.kw["bind"].dispose()

    def person(self, tenant: str = TENANTS[0], role: Role = Role.REQUESTER) -> Person:
        """Somebody of a tenant."""
        return self.people[tenant][role]

    def send(
        self,
        person: Person | None,
        method: str,
        path: str,
        body: Any = None,
        *,
        web: int | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = _CALL_S,
    ) -> Answer:
        """One request to one web process, the next in turn; noted, whatever becomes of it."""
        with self._lock:
            self._turn += 1
            number = self._turn % len(self.rig.webs) if web is None else web
        given = {"Content-Type": "application/json"} if body is not None else {}
        if person is not None:
            given["Authorization"] = f"Bearer {person.token}"
        given |= headers or {}
        content = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        tenant = "nobody" if person is None else person.tenant
        self.ledger.sent(tenant, method, path, body=content, key=given.get("Idempotency-Key"))
        answer = self._exchanged(
            method, f"{self.rig.webs[number].address}{path}", content, headers=given, timeout_s=timeout_s
        )
        self.ledger.received(tenant, method, path, answer)
        return answer

    def _exchanged(
        self, method: str, url: str, content: bytes, *, headers: Mapping[str, str], timeout_s: float
    ) -> Answer:
        since_s = time.monotonic()
        try:
            # Whatever stands in a header, as bytes: the library would refuse to send some of it.
            sent = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
            heard = self._http.request(method, url, content=content, headers=sent, timeout=timeout_s)
        except (httpx.HTTPError, httpx.InvalidURL):
            return Answer(status=None, headers={}, body=b"", took_s=time.monotonic() - since_s)
        return Answer(
            status=heard.status_code,
            headers={name.lower(): value for name, value in heard.headers.items()},
            body=heard.content,
            took_s=time.monotonic() - since_s,
        )

    def submit(
        self, person: Person, key: str, body: dict[str, Any], *, within_s: float = 60.0, wait_s: int = 0
    ) -> Job | None:
        """Post a workload under a key until it is acknowledged; None where it was not in time, or is refused."""
        job = self.ledger.job(person.tenant, key, body)
        deadline_s = time.monotonic() + within_s
        headers = {"Idempotency-Key": key, **({"Prefer": f"wait={wait_s}"} if wait_s else {})}
        while True:
            answer = self.send(person, "POST", "/v1/workloads", body, headers=headers)
            self.ledger.tried(job, answer)
            if answer.is_success:
                return job
            if answer.status is not None and answer.status not in {409, 429, 502, 503, 504}:
                return None
            if time.monotonic() > deadline_s:
                return None
            time.sleep(min(_LONGEST_PAUSE_S, float(answer.headers.get("retry-after", "0.1"))))

    def look(self, job: Job) -> str | None:
        """The status of an acknowledged job's run; None where nobody told."""
        answer = self.send(self.person(job.tenant), "GET", f"/v1/runs/{job.run_id}")
        if answer.status == 404:
            self.ledger.violate("I8", f"run {job.run_id} of {job.tenant} was acknowledged and is not there")
        if not answer.is_success:
            return None
        run = answer.json()
        self.ledger.saw_run(job, run)
        return str(run["status"])

    def follow(self, job: Job, *, within_s: float = 30.0) -> str | None:
        """Look until the run has ended; its last status."""
        deadline_s = time.monotonic() + within_s
        while (status := self.look(job)) not in ENDED and time.monotonic() < deadline_s:
            time.sleep(0.05)
        return status
