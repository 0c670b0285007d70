"""Requests per second, latency and CPU of the API's rows, beside bare handlers on the same server, round by round."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import httpx
import orjson

from scripts.benchmark import procfs, wrk
from scripts.benchmark.figures import median_ratio
from scripts.benchmark.installation import Installation, pids
from scripts.benchmark.questions import LONGEST, estimate_body
from scripts.benchmark.wrk import NAME_MARK, Request
from scripts.supervisor import Child
from scripts.trouble import Trouble
from service.settings import Cores

WSGI = "bare WSGI"
FLASK = "bare Flask, tiny JSON"
FLASK_LARGE = "bare Flask, bytes of a run"
FLASK_POST = "bare Flask, the same POST and bytes"
HEALTH = "health"
RUN = "cached run by id"
RUN_PLAIN = "cached run by id, not compressed"
NOT_MODIFIED = "the same, If-None-Match"
POST = "POST answered from the cache"
POST_PLAIN = "POST answered from the cache, not compressed"
ESTIMATE = "estimate"
ESTIMATE_ALONE = "estimate, 1 connection"

CONNECTIONS = 16
# As browsers and libraries of HTTP ask, and wrk does not by itself.
_LIKE_CLIENTS = {"Accept-Encoding": "gzip"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing that is asked for, of whom, how, and whose CPU time it costs."""

    name: str
    request: Request
    servers: list[Child]
    status: int = 200
    connections: int = CONNECTIONS
    # What the answer must say, so that no error and no other path is timed.
    holds: Callable[[httpx.Response], bool] = field(default=lambda _: True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One row in one round. CPU time [ms] of all processes of the row's servers, without the client's."""

    requests_s: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFigures:
    """A row's rounds, and the bytes of one answer's body as it was sent."""

    name: str
    connections: int
    body_bytes: int
    rounds: list[Round]

    def middle(self, what: str) -> float:
        """The median over the rounds of one of their figures."""
        return statistics.median(float(getattr(one, what)) for one in self.rounds)

    @property
    def errors(self) -> int:
        """Requests that were refused or broken, in all rounds."""
        return sum(one.errors for one in self.rounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebFigures:
    """Every row of one run."""

    seconds: float
    web_workers: int
    web_threads: int
    web_cores: Cores
    rows: list[RowFigures]

    def row(self, name: str) -> RowFigures | None:
        """The row of that name, where it was measured."""
        return next((row for row in self.rows if row.name == name), None)

    def ratio(self, name: str, limit: str = FLASK) -> float | None:
        """Requests/s of a row over a limit's: the median of the rounds' ratios."""
        row, beside = self.row(name), self.row(limit)
        if row is None or beside is None:
            return None
        return median_ratio([one.requests_s for one in row.rounds], [one.requests_s for one in beside.rounds])


def measure(installation: Installation, *, rounds: int, seconds: float, say: Callable[[str], None]) -> WebFigures:
    """Each round loads every row once, and begins with another row than the round before."""
    program = wrk.need(say)
    say("http: starting the bare handlers beside the product")
    rows = _rows(installation)
    bodies = {row.name: _checked(row) for row in rows}
    for row in rows:
        wrk.run(program, row.request, connections=row.connections, seconds=1, series="warm ")
    taken: dict[str, list[Round]] = {row.name: [] for row in rows}
    for number in range(rounds):
        start = number % len(rows)
        for row in (*rows[start:], *rows[:start]):
            say(f"http: round {number + 1} of {rounds}: {row.name}")
            taken[row.name].append(_round(program, row, seconds=seconds, series=f"round {number} "))
            installation.check_alive()
    settings = installation.plan.settings
    return WebFigures(
        seconds=seconds,
        web_workers=settings.web_workers,
        web_threads=settings.web_threads,
        web_cores=settings.web_cores,
        rows=[
            RowFigures(name=row.name, connections=row.connections, body_bytes=bodies[row.name], rounds=taken[row.name])
            for row in rows
        ],
    )


def _round(program: str, row: Row, *, seconds: float, series: str) -> Round:
    members = [pid for child in row.servers for pid in pids(child)]
    before = procfs.cpu_s(members)
    load = wrk.run(program, row.request, connections=row.connections, seconds=seconds, series=series)
    spent_s = procfs.cpu_between(before, procfs.cpu_s(members))
    return Round(
        requests_s=load.requests_s,
        p50_ms=load.p50_ms,
        p99_ms=load.p99_ms,
        cpu_ms=spent_s * 1e3 / load.requests,
        errors=load.errors,
    )


def _checked(row: Row) -> int:
    """Send one such request; the bytes of its body as sent. Trouble when it is not answered as the row says."""
    sent = row.request
    answer = httpx.request(
        sent.method,
        sent.url,
        # Where the row says nothing, httpx would ask for gzip by itself.
        headers={"Accept-Encoding": "identity", **sent.headers},
        content=sent.body.replace(NAME_MARK, "first look") or None,
        trust_env=False,
        timeout=30.0,
    )
    if answer.status_code != row.status or not row.holds(answer):
        raise Trouble(f"{row.name} cannot be measured: HTTP {answer.status_code} {answer.text[:300]}")
    return answer.num_bytes_downloaded


def _rows(installation: Installation) -> list[Row]:
    run = _answered_run(installation)
    flask, flask_at = installation.served_beside("bare-flask", "scripts.benchmark.bare:served_flask")
    wsgi, wsgi_at = installation.served_beside("bare-wsgi", "scripts.benchmark.bare:served_wsgi")
    asks = _LIKE_CLIENTS
    large = f"{flask_at}/bytes/{len(run.content)}"
    bare = [
        Row(name=WSGI, request=Request(url=f"{wsgi_at}/", headers=asks), servers=[wsgi]),
        Row(name=FLASK, request=Request(url=f"{flask_at}/json", headers=asks), servers=[flask]),
        Row(name=FLASK_LARGE, request=Request(url=large, headers=asks), servers=[flask]),
        Row(
            name=FLASK_POST,
            request=Request(
                url=large,
                method="POST",
                headers={"Content-Type": "application/json", **asks},
                body=_post_body(),
            ),
            servers=[flask],
        ),
    ]
    return [*bare, *_product_rows(installation, run)]


def _answered_run(installation: Installation) -> httpx.Response:
    """A run that is done, as it reads by its id."""
    with installation.client() as client:
        posted = client.post(
            "/v1/workloads",
            content=LONGEST.body(),
            headers={"Content-Type": "application/json", "Prefer": "wait=30"},
        )
        if posted.status_code != httpx.codes.OK or posted.json()["status"] != "done":
            raise Trouble(f"The question to measure was not answered: HTTP {posted.status_code} {posted.text[:300]}")
        return client.get(f"/v1/runs/{posted.json()['id']}")


def _product_rows(installation: Installation, run: httpx.Response) -> list[Row]:
    plain = {"Authorization": f"Bearer {installation.key}"}
    plain_json = {**plain, "Content-Type": "application/json"}
    key, sends_json = {**plain, **_LIKE_CLIENTS}, {**plain_json, **_LIKE_CLIENTS}
    servers, at = installation.product, installation.address
    by_id = f"{at}/v1/runs/{run.json()['id']}"
    estimate = Request(url=f"{at}/v1/estimates", method="POST", headers=sends_json, body=estimate_body().decode())
    conditional = Request(url=by_id, headers={**key, "If-None-Match": run.headers["ETag"]})
    post = Request(url=f"{at}/v1/workloads", method="POST", headers=sends_json, body=_post_body())
    return [
        Row(name=HEALTH, request=Request(url=f"{at}/healthz", headers=_LIKE_CLIENTS), servers=servers),
        Row(name=RUN, request=Request(url=by_id, headers=key), servers=servers, holds=_is_done),
        Row(name=RUN_PLAIN, request=Request(url=by_id, headers=plain), servers=servers, holds=_is_done),
        Row(name=NOT_MODIFIED, request=conditional, servers=servers, status=304),
        Row(name=POST, request=post, servers=servers, holds=_is_cached),
        Row(name=POST_PLAIN, request=replace(post, headers=plain_json), servers=servers, holds=_is_cached),
        Row(name=ESTIMATE, request=estimate, servers=servers),
        Row(name=ESTIMATE_ALONE, request=estimate, servers=servers, connections=1),
    ]


def _is_done(answer: httpx.Response) -> bool:
    return bool(answer.json()["status"] == "done")


def _is_cached(answer: httpx.Response) -> bool:
    return _is_done(answer) and bool(answer.json()["cached"])


def _post_body() -> str:
    return orjson.dumps({**LONGEST.document(), "name": NAME_MARK}).decode()
