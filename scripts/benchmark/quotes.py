"""Quotes: a long one recalculated in memory, one written anew over HTTP, and its PDF from the request to the bytes."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson

from scripts.benchmark import procfs
from scripts.benchmark.figures import Spread, spread_ms
from scripts.benchmark.installation import Installation, pids
from scripts.benchmark.questions import DENSE
from scripts.benchmark.quote import quote_call
from scripts.trouble import Trouble
from service.access import Role

LINES = 500
_PARTS_OF_OTHERS = 500
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteFigures:
    """What quotes took [ms]; `put_cpu_ms` is that of every process of the product for one PUT."""

    recalculation: Spread
    put: Spread
    put_cpu_ms: float
    put_lines: int
    pdf: Spread
    pdf_bytes: int


def measure(installation: Installation, *, rounds: int, say: Callable[[str], None]) -> QuoteFigures:
    """Rounds of a recalculation, a PUT with another discount, and a PDF of what was just written."""
    say("quotes: a run, a price book and a quote to begin with")
    with installation.client(Role.ADMIN) as client:
        body, quote = _written(client)
        recalculate, puts, pdfs, recalculations = quote_call(LINES), [], [], []
        cpu_ms: list[float] = []
        members = [pid for child in installation.product for pid in pids(child)]
        for number in range(rounds):
            say(f"quotes: round {number + 1} of {rounds}")
            recalculations.append(_timed(recalculate)[0])
            changed = {**body, "discount_fraction": f"0.{number + 101:03d}"}
            before = procfs.cpu_s(members)
            spent_s, answer = _timed(lambda sent=changed: _put(client, quote["id"], sent))  # type: ignore[misc]
            cpu_ms.append(procfs.cpu_between(before, procfs.cpu_s(members)) * 1e3)
            puts.append(spent_s)
            spent_s, pdf = _timed(lambda: _pdf(client, quote["id"]))
            pdfs.append(spent_s)
            installation.check_alive()
    return QuoteFigures(
        recalculation=spread_ms(recalculations),
        put=spread_ms(puts),
        put_cpu_ms=sum(cpu_ms) / len(cpu_ms),
        put_lines=len(answer["document"]["lines"]),
        pdf=spread_ms(pdfs),
        pdf_bytes=len(pdf),
    )


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
