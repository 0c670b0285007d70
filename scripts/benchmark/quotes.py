"""Quotes: a long one recalculated in memory and over HTTP, an ordinary one and its PDF."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson

from scripts.benchmark import procfs
from scripts.benchmark.altered import altered
from scripts.benchmark.figures import Spread, spread_ms
from scripts.benchmark.installation import Installation, pids
from scripts.benchmark.questions import DENSE
from scripts.benchmark.quote import quote_call
from scripts.supervisor import Child
from scripts.trouble import Trouble
from service.access import Role

LINES = 500
_PARTS_OF_OTHERS = 500
_RULE = """
  - id: more-{place}
    kind: service
    part: part-{place}
    name: "Part {place}"
    unit: server
    charge: one_time
    count: {{sum: [servers]}}
    why: "one for each of {{servers}} servers"
    unknown: the sizing names no number of servers
    basis: estimated
    sources: [estimates]"""
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteFigures:
    """What quotes took [ms]; the CPU of one PUT is that of every process that serves it."""

    recalculation: Spread
    put: Spread
    put_cpu_ms: float
    put_lines: int
    long_put: Spread
    long_put_cpu_ms: float
    long_put_lines: int
    pdf: Spread
    pdf_bytes: int


def measure(installation: Installation, *, rounds: int, say: Callable[[str], None]) -> QuoteFigures:
    """Rounds of a recalculation, PUTs with another discount of a short and a long quote, and a PDF of the short one."""
    say("quotes: a run, a price book and a quote to begin with")
    with installation.client(Role.ADMIN) as client, _with_more_rules(installation) as (long_client, long_web):
        body, quote = _written(client)
        long_quote = _checked(long_client.post("/v1/quotes", json=body))
        recalculate, pdfs, recalculations = quote_call(LINES), [], []
        short = _Puts(client=client, quote=quote, members=installation.product)
        long = _Puts(client=long_client, quote=long_quote, members=[long_web])
        for number in range(rounds):
            say(f"quotes: round {number + 1} of {rounds}")
            recalculations.append(_timed(recalculate)[0])
            changed = {**body, "discount_fraction": f"0.{number + 101:03d}"}
            short.put(changed)
            long.put(changed)
            spent_s, pdf = _timed(lambda: _pdf(client, quote["id"]))
            pdfs.append(spent_s)
            installation.check_alive()
    return QuoteFigures(
        recalculation=spread_ms(recalculations),
        put=spread_ms(short.spent_s),
        put_cpu_ms=short.mean_cpu_ms,
        put_lines=short.lines,
        long_put=spread_ms(long.spent_s),
        long_put_cpu_ms=long.mean_cpu_ms,
        long_put_lines=long.lines,
        pdf=spread_ms(pdfs),
        pdf_bytes=len(pdf),
    )


@dataclass(slots=True, kw_only=True)
class _Puts:
    """PUTs of one quote, one after another, and what they took."""

    client: httpx.Client
    quote: Mapping[str, Any]
    members: Sequence[Child]
    spent_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    lines: int = 0

    def put(self, body: Mapping[str, Any]) -> None:
        """One more."""
        members = [pid for child in self.members for pid in pids(child)]
        before = procfs.cpu_s(members)
        spent_s, answer = _timed(lambda: _put(self.client, self.quote["id"], body))
        self.cpu_s.append(procfs.cpu_between(before, procfs.cpu_s(members)))
        self.spent_s.append(spent_s)
        self.lines = len(answer["document"]["lines"])

    @property
    def mean_cpu_ms(self) -> float:
        """CPU of one."""
        return sum(self.cpu_s) / len(self.cpu_s) * 1e3


@contextmanager
def _with_more_rules(installation: Installation) -> Iterator[tuple[httpx.Client, Child]]:
    """The same API beside it, whose bills of materials have so many lines more: somebody to speak to, and its process.

    Their parts have no price, which costs as much to say as one.
    """
    rules = "".join(_RULE.format(place=place) for place in range(LINES))
    folder = installation.plan.settings.data_dir / "more-rules"
    environ = altered(folder, "bom_rules.yaml", lambda text: text.rstrip() + rules + "\n")
    child, address = installation.served_beside("web-more-rules", "service.app:create_app", environ=environ)
    with installation.client(Role.ADMIN) as client:
        client.base_url = httpx.URL(address)
        yield client, child
    installation.supervisor.remove(child)


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    found = call()
    return time.perf_counter() - started, found


def _written(client: httpx.Client) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """A quote from a book that has its parts and five hundred of others, and the body that it was written with."""
    run = _checked(
        client.post("/v1/workloads", content=orjson.dumps(DENSE.document()), headers={**_JSON, "Prefer": "wait=60"})
    )
    body = {"run_id": run["id"], "customer": {"name": "Bench"}, "currency": "USD", "tco": {}}
    draft = _checked(client.post("/v1/quotes", json=body))
    parts = {line["part"]: (line["kind"], line["unit"]) for line in draft["document"]["lines"]}
    lines = [
        {"part": part, "kind": kind, "unit": unit, "list_price": "1234.56", "lead_time_weeks": 8}
        for part, (kind, unit) in parts.items()
    ]
    lines += [
        {"part": f"other-{place}", "kind": "service", "unit": "piece", "list_price": "1.00"}
        for place in range(_PARTS_OF_OTHERS)
    ]
    book = {"name": "bench", "currency": "USD", "date": "2026-11-01", "lines": lines}
    stored = _checked(client.post("/v1/price-books", json=book))
    today = {"effective_from": f"{datetime.now(UTC):%Y-%m-%d}"}
    _checked(client.post(f"/v1/price-books/{stored['id']}/activate", json=today, headers={"If-Match": "*"}))
    return body, _put(client, draft["id"], body)


def _put(client: httpx.Client, quote_id: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    return _checked(
        client.put(f"/v1/quotes/{quote_id}", content=orjson.dumps(body), headers={**_JSON, "If-Match": "*"})
    )


def _pdf(client: httpx.Client, quote_id: str) -> bytes:
    answer = client.get(f"/v1/quotes/{quote_id}.pdf", headers={"Prefer": "wait=20"})
    if answer.status_code != httpx.codes.OK:
        raise Trouble(f"A PDF was not made within 20 s: HTTP {answer.status_code} {answer.text[:300]}")
    return answer.content


def _checked(answer: httpx.Response) -> Mapping[str, Any]:
    if not answer.is_success:
        raise Trouble(f"A quote could not be measured: HTTP {answer.status_code} {answer.text[:300]}")
    found: Mapping[str, Any] = answer.json()
    return found
