"""The checker: one file of SQL, one scan of both Redis servers, and the ledger held against what the service says."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psycopg
import redis

from scripts.faulting.answer import Violation
from scripts.faulting.driver import Driver
from scripts.faulting.ledger import ENDED, RUN
from scripts.faulting.rig import Rig
from service.access import Role

# I1: everything that was acknowledged has ended so long after the last fault is lifted, and
T_Q_S = 30.0
# is waited for as long as something has ended within so long: what is late is told, and what never ends is lost.
AT_REST_WITHIN_S = 30.0
SHOWN = 20
_SQL = Path(__file__).with_name("invariants.sql")
_OPEN = """SELECT (SELECT count(*) FROM runs WHERE status IN ('queued', 'running'))
    + (SELECT count(*) FROM batches WHERE status IN ('accepted', 'running')) + (SELECT count(*) FROM outbox)
    + (SELECT count(*) FROM occurrences WHERE status <> 'done')"""
_MADE = "SELECT id, tenant_id, status FROM runs UNION ALL SELECT id, tenant_id, status FROM batches"
_SAID = "SELECT id, encode(sha256(convert_to(snapshot, 'UTF8')), 'hex') FROM quotes WHERE id = ANY(%s)"
# Keys of the cache that may stay for ever.
_WITHOUT_END: frozenset[str] = frozenset()
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Statement:
    """One of the SQL file: the invariant that it looks after, and the query for what does not hold."""

    invariant: str
    name: str
    query: str


def statements(text: str) -> Iterator[Statement]:
    """The statements of the file, each under the comment that names it."""
    for block in text.split("\n-- I")[1:]:
        title, _, query = block.partition("\n")
        number, _, name = title.partition(" ")
        yield Statement(f"I{number}", name, query.strip())


def in_database(connection: psycopg.Connection) -> Iterator[Violation]:
    """What the statements find in a database."""
    for statement in statements(_SQL.read_text(encoding="utf-8")):
        for (words,) in connection.execute(statement.query.encode()).fetchall():
            yield Violation(statement.invariant, f"{statement.name}: {words}")


class Stored(NamedTuple):
    """Whose a run or a batch is, and how it stands, as the database says."""

    tenant: str
    status: str


def lost(made: Mapping[str, str], stored: Mapping[str, Stored]) -> Iterator[Violation]:
    """What a client was told of and is not there, is another tenant's, or has not ended."""
    for name, tenant in made.items():
        found = stored.get(name)
        if found is None:
            yield Violation("I1", f"{name} of {tenant} was acknowledged and is lost")
        elif found.tenant != tenant:
            yield Violation("I3", f"{name} was acknowledged to {tenant} and is of {found.tenant}")
        elif found.status not in ENDED:
            yield Violation("I1", f"{name} of {tenant} was acknowledged and is {found.status}")


class Checker:
    """Looks at everything from outside the product, past the proxies."""

    def __init__(self, rig: Rig, driver: Driver) -> None:
        self._rig = rig
        self._driver = driver
        self._ledger = driver.ledger

    def open_count(self) -> int:
        """What has not ended: runs, batches, messages that wait to be rung."""
        with psycopg.connect(self._rig.database.url, autocommit=True) as connection:
            row = connection.execute(_OPEN).fetchone()
            return int(row[0]) if row else 0

    def wait_until_at_rest(self, *, within_s: float = AT_REST_WITHIN_S) -> float:
        """Wait for the end of everything, or until nothing more has ended for so long; how long it took.

        What waits in a queue is not lost: whether it ends in time is looked at by whoever lifts a fault.
        """
        since_s = moved_s = time.monotonic()
        fewest = self.open_count()
        while fewest and time.monotonic() - moved_s < within_s:
            time.sleep(0.1)
            if (left := self.open_count()) < fewest:
                fewest, moved_s = left, time.monotonic()
        return time.monotonic() - since_s

    def check(self) -> list[Violation]:
        """Everything that does not hold, of the whole history so far."""
        self.wait_until_at_rest()
        with psycopg.connect(self._rig.database.url, autocommit=True) as connection:
            found = list(in_database(connection))
        found += [
            *self._redis(),
            *self._jobs(),
            *self._stored(),
            *self._secrets(),
            *self._issued(),
        ]
        return [*self._ledger.violations, *found]

    def _redis(self) -> Iterator[Violation]:
        with redis.Redis.from_url(self._rig.cache.url, decode_responses=True) as cache:
            for key in cache.scan_iter(count=1000):
                if cache.ttl(key) == -1 and key not in _WITHOUT_END:
                    yield Violation("I7", f"the cache keeps {key} for ever")
        with redis.Redis.from_url(self._rig.broker.url, decode_responses=True) as broker:
            evicted = broker.info("stats")["evicted_keys"]
            if evicted:
                yield Violation("I7", f"the broker evicted {evicted} keys")

    def _jobs(self) -> Iterator[Violation]:
        """The ledger's difference: each acknowledged job is there once, has ended, and is listed once."""
        stored = self._stored_ends()
        yield from lost(self._ledger.made, stored)
        for job in self._ledger.acknowledged():
            if len(job.run_ids) != 1:
                yield Violation("I2", f"key {job.key} of {job.tenant} was answered with the runs {sorted(job.run_ids)}")
            for run_id in job.run_ids:
                status = stored.get(run_id, Stored("", "")).status
                if job.seen[-1] in ENDED and status in ENDED and job.seen[-1] != status:
                    yield Violation("I8", f"run {run_id} was told to be {job.seen[-1]} and is {status}")
            if job.seen[-1] not in ENDED:
                self._driver.look(job)
        yield from self._listed()

    def _stored_ends(self) -> dict[str, Stored]:
        names = {people[Role.ADMIN].tenant_id: tenant for tenant, people in self._driver.people.items()}
        with psycopg.connect(self._rig.database.url, autocommit=True) as connection:
            rows = connection.execute(_MADE).fetchall()
        return {made: Stored(str(names.get(tenant_id, tenant_id)), status) for made, tenant_id, status in rows}

    def _listed(self) -> Iterator[Violation]:
        for tenant in self._driver.people:
            wanted = {made for made, owner in self._ledger.made.items() if owner == tenant and made.startswith(RUN)}
            listed: list[str] = []
            cursor = ""
            while True:
                path = f"/v1/runs?limit={_PAGE}" + (f"&cursor={cursor}" if cursor else "")
                page = self._driver.send(self._driver.person(tenant), "GET", path).json()
                listed += [run["id"] for run in page["items"]]
                cursor = page.get("next_cursor")
                if not cursor:
                    break
            if missing := wanted - set(listed):
                yield Violation("I8", f"the list of {tenant} lacks {sorted(missing)[:3]} ({len(missing)} in all)")
            if len(listed) != len(set(listed)):
                yield Violation("I8", f"the list of {tenant} names a run twice")

    def _issued(self) -> Iterator[Violation]:
        """Every quote that was ever issued says what it said then, in the database and to whoever reads it."""
        issued = dict(self._ledger.issued)
        with psycopg.connect(self._rig.database.url, autocommit=True) as connection:
            stored: dict[str, str] = dict(connection.execute(_SAID, [list(issued)]).fetchall())
        for quote_id, (tenant, sha256) in issued.items():
            if stored.get(quote_id) != sha256:
                yield Violation("I6", f"quote {quote_id} is stored otherwise than it was issued")
            answer = self._driver.send(self._driver.person(tenant, Role.SELLER), "GET", f"/v1/quotes/{quote_id}.json")
            if answer.is_success:
                self._ledger.saw_issued(tenant, quote_id, answer.body)
            else:
                yield Violation("I6", f"quote {quote_id} was issued, and can be read no more: {answer.status}")

    def _secrets(self) -> Iterator[Violation]:
        """No line of any log tells what a customer wrote, or a key."""
        tokens = [person.token.encode() for people in self._driver.people.values() for person in people.values()]
        words = {*self._ledger.canaries.values(), *tokens}
        for member in self._rig.members:
            told = member.log.read_bytes() if member.log.exists() else b""
            if any(word in told for word in words):
                yield Violation("I3", f"the log of {member.process.name} tells what a customer wrote, or a key")

    def _stored(self) -> Iterator[Violation]:
        """What workers say that they stored: per run once, and by whoever holds its newest token."""
        with psycopg.connect(self._rig.database.url, autocommit=True) as connection:
            attempts: dict[str, int] = dict(connection.execute("SELECT id, attempts FROM runs").fetchall())
        done: dict[str, str] = {}
        for line in self._told({"run_done", "run_failed"}):
            run_id, attempt = str(line["run_id"]), int(str(line["attempt"]))
            if run_id in done:
                yield Violation("I2", f"two results of run {run_id} were accepted")
            done[run_id] = str(line["timestamp"])
            if attempt != attempts.get(run_id, attempt):
                held = f"its attempt {attempt} of {attempts[run_id]}, which had lost it"
                yield Violation("I2", f"run {run_id} was ended by {held}")
        for line in self._told({"run_claimed"}):
            run_id = str(line["run_id"])
            if run_id in done and str(line["timestamp"]) > done[run_id]:
                yield Violation("I2", f"run {run_id} was begun again after its result was stored")

    def _told(self, events: set[str]) -> Iterator[dict[str, object]]:
        """Lines of the workers about attempts at runs."""
        for member in self._rig.workers:
            for line in read_lines(member.log):
                if line.get("event") in events and "attempt" in line:
                    yield line


def read_lines(log: Path) -> Iterator[dict[str, object]]:
    """What a process has logged so far; what is no JSON is left out."""
    with log.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict):
                yield found
