"""Cases F: input that is made to harm."""

import csv
import gzip
import io
import re
import zipfile
from collections.abc import Iterable, Iterator

from scripts.benchmark.procfs import cpu_between, cpu_s, family, memory
from scripts.faulting.case import case
from scripts.faulting.cases.sink import sink
from scripts.faulting.driver import TENANTS
from scripts.faulting.load import body_of, inference
from scripts.faulting.raw import chunked, exchange
from scripts.faulting.scene import Scene
from service.access import Role

_WORKLOADS = "/v1/workloads"
_REFUSED = {400, 408, 413, 415, 422}
_MOST_CPU_S = 1.0
_MOST_GROWTH_MIB = 50.0
_MEBIBYTE = b" " * 1_048_576
_FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(1)",
    "\t=1",
    "=cmd|'/C calc'!A0",
    "\uff1d1+1",
    ";=1+1",
    '"=1+1',
    "'=1+1",
    '=HYPERLINK("http://127.0.0.1:9","x")',
)
_STARTS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_NUMBER = re.compile(r"-?[0-9][0-9.,]*%?")


def _bodies() -> Iterator[tuple[str, bytes]]:
    """Bodies that are no request, with what is wrong about them."""
    workload = b'{"name": "x", "workload": %s}'
    yield "100,000 lists in one another", b"[" * 100_000 + b"]" * 100_000
    yield "100,000 objects in one another", b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    yield "40,000 members", b"{" + b",".join(b'"k%d":1' % n for n in range(40_000)) + b"}"
    yield "a member twice", b'{"name": "a", "name": "b"}'
    yield "NaN", workload % b'{"kind": "inference", "isl_tokens": NaN}'
    yield "Infinity", workload % b'{"kind": "inference", "isl_tokens": Infinity}'
    yield "1e999", workload % b'{"kind": "inference", "isl_tokens": 1e999}'
    yield "a number of 10,000 digits", workload % (b'{"isl_tokens": ' + b"9" * 10_000 + b"}")
    yield "half a surrogate pair", b'{"name": "\\ud800"}'
    yield "a NUL", b'{"name": "a\\u0000b"}'
    yield "bytes that are no UTF-8", b'{"name": "\xff\xfe"}'
    yield "half a document", b'{"name": '
    yield "nothing", b""
    yield "a list", b"[]"
    yield "a string", b'"x"'


@case(41, "bodies that are bombs", quick=True)
def bombs(scene: Scene) -> None:
    """Refused by name, at once, in little memory; the process lives."""
    person, web = scene.driver.person(), scene.rig.webs[0]
    assert web.running is not None
    pids = family(web.running.pid)
    before, spent = _rss(pids), cpu_s(pids)
    tried = 0
    for words, body in _bodies():
        answer = scene.driver.send(person, "POST", _WORKLOADS, body, web=0)
        scene.expect(answer.status in _REFUSED, "I4", f"a body of {words} was answered {answer.status}")
        tried += 1
    for words, headers, body, wanted in (
        ("gzip", {"Content-Encoding": "gzip"}, gzip.compress(_MEBIBYTE * 20), 415),
        ("a form", {"Content-Type": "application/x-www-form-urlencoded"}, b"a=1", 415),
        ("UTF-16", {"Content-Type": "application/json; charset=utf-16"}, b"{}", 400),
        ("text", {"Content-Type": "text/plain"}, b"{}", 415),
    ):
        status = scene.driver.send(person, "POST", _WORKLOADS, body, web=0, headers=headers).status
        scene.expect(status == wanted, "I4", f"a body as {words} was answered {status}")
        tried += 1
    head = (
        f"POST {_WORKLOADS} HTTP/1.1\nHost: x\nAuthorization: Bearer {person.token}\nContent-Type: application/json\n"
    )
    raw: tuple[tuple[str, str, Iterable[bytes], float], ...] = (
        ("100 MB", f"{head}Content-Length: 100000000\n\n", (b"[",), 0.0),
        ("5 MB in chunks", f"{head}Transfer-Encoding: chunked\n\n", chunked([_MEBIBYTE] * 5), 0.0),
        # The rig's web processes have no patience beyond three seconds.
        ("a byte at a time", f"{head}Content-Length: 1000\n\n", [b" "] * scene.times(8, 30), 0.5),
    )
    for words, sent, pieces, pause_s in raw:
        assert web.port is not None
        answer = exchange(web.port, sent, pieces, pause_s=pause_s)
        scene.driver.ledger.received(person.tenant, "POST", _WORKLOADS, answer)
        scene.expect(answer.status in _REFUSED, "I4", f"a body of {words} was answered {answer.status}")
        tried += 1
    took_s = cpu_between(spent, cpu_s(pids)) / tried
    grown_mib = _rss(pids) - before
    scene.seen.bad_inputs += tried
    scene.note("CPU per bad body [s]", round(took_s, 4))
    scene.note("memory grown [MiB]", round(grown_mib, 1))
    scene.expect(took_s < _MOST_CPU_S, "I7", f"a bad body takes {took_s:.2f} s of CPU")
    scene.expect(grown_mib < _MOST_GROWTH_MIB, "I7", f"bad bodies made a web process grow by {grown_mib:.0f} MiB")
    scene.expect(family(web.running.pid) == pids, "I7", "a bad body ended a web process")


def _rss(pids: list[int]) -> float:
    return sum(held.rss_mib for held in map(memory, pids) if held is not None)


@case(42, "numbers at the edge")
def edges(scene: Scene) -> None:
    """Refused with the bound, or answered with finite numbers; never a loop."""
    person = scene.driver.person()
    slowest_s = 0.0
    for value in (0, -1, 1e18, 1e-300, 1e300, 2**63, 0.5):
        for change in (
            {"isl_tokens": value},
            {"osl_tokens": value},
            {"demand": {"concurrency": value}},
            {"demand": {"output_tokens_s": value}},
            {"demand": {"users": value, "requests_user_hour": 1}},
            {"slo": {"tpot_ms": value}},
        ):
            key = scene.questions.key()
            body = body_of(person, key, inference(1000) | change)
            answer = scene.driver.send(person, "POST", f"{_WORKLOADS}", body, headers={"Prefer": "wait=20"})
            slowest_s = max(slowest_s, answer.took_s)
            scene.seen.bad_inputs += 1
            scene.expect(answer.status in {200, 202, 422}, "I4", f"{change} was answered {answer.status}")
            run = answer.json() or {}
            servers = [option["servers"] for option in (run.get("result") or {}).get("options", ())]
            scene.expect(all(count > 0 for count in servers), "I4", f"{change} needs {servers} servers")
            scene.expect(run.get("status") != "failed", "I4", f"{change} made the engine fail: {run.get('error')}")
    scene.note("slowest answer to a number at the edge [s]", round(slowest_s, 2))


@case(44, "names that are formulas", quick=True)
def formulas(scene: Scene) -> None:
    """Every cell of every table that is handed out is text, and numbers stay numbers."""
    shop = scene.shop("acme")
    names = _FORMULAS if scene.times(0, 1) else scene.rng.sample(_FORMULAS, 4)
    for name in names:
        body = shop.body(customer={"name": f"{name} {scene.driver.person().canary}"})
        made = shop.call(Role.SELLER, "POST", "/v1/quotes", body)
        scene.seen.bad_inputs += 1
        if made.status == 422:
            continue
        quote = made.json()
        for form in ("csv", "xlsx"):
            answer = scene.driver.send(
                scene.driver.person("acme", Role.SELLER),
                "GET",
                f"/v1/quotes/{quote['id']}.{form}",
                headers={"Prefer": "wait=20", "Accept": "*/*"},
            )
            scene.expect(answer.status == 200, "I1", f"the {form} of a quote was answered {answer.status}")
            if form == "csv":
                active = [cell for cell in _csv(answer.body) if not _is_inert(cell)]
            else:
                # A workbook computes its own sums; what the customer wrote is in none of its formulas.
                active = [formula for formula in _formulas(answer.body) if scene.driver.person().canary in formula]
            scene.expect(not active, "I4", f"a cell of the {form} of a quote begins {active[:1]}")
    _batch_of_formulas(scene)


def _batch_of_formulas(scene: Scene) -> None:
    person = scene.driver.person()
    lines = [{"name": name, "workload": inference(700 + n)} for n, name in enumerate(_FORMULAS)]
    batch = scene.driver.send(person, "POST", "/v1/batches", lines).json()
    scene.checker.wait_until_at_rest()
    answer = scene.driver.send(person, "GET", f"/v1/batches/{batch['id']}/results", headers={"Accept": "text/csv"})
    for cell in _csv(answer.body):
        scene.expect(_is_inert(cell), "I4", f"a cell of the results of a batch begins {cell[:30]!r}")


def _csv(content: bytes) -> Iterator[str]:
    for row in csv.reader(io.StringIO(content.decode("utf-8-sig"))):
        yield from row


def _formulas(content: bytes) -> Iterator[str]:
    """The formulas of a workbook: its texts may begin as they like, because a spreadsheet shows them as they are."""
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        for name in book.namelist():
            if name.startswith("xl/worksheets/") and name.endswith(".xml"):
                yield from re.findall(r"<f>(.*?)</f>", book.read(name).decode())


def _is_inert(cell: str) -> bool:
    return not cell.startswith(_STARTS) or _NUMBER.fullmatch(cell) is not None


@case(45, "names that are markup")
def markup(scene: Scene) -> None:
    """Rendered as they are; nobody is called, and no file is read."""
    shop = scene.shop("bolt")
    with sink() as (port, heard):
        for name in (
            "<script>alert(1)</script>",
            f"<img src=http://127.0.0.1:{port}/i>",
            f'#image("http://127.0.0.1:{port}/t")',
            '#read("/etc/passwd")',
            "file:///etc/passwd",
            f"@import url(http://127.0.0.1:{port}/c)",
            "<svg onload=alert(1)>",
            "\u202egnp.exe",
            "{{7*7}}",
            "$x^2$ *bold* _it_ \\ #panic()",
        ):
            answer = shop.call(Role.SELLER, "POST", "/v1/quotes", shop.body(customer={"name": name}))
            scene.seen.bad_inputs += 1
            if answer.status == 422:
                continue
            quote = answer.json()
            pdf = shop.call(Role.SELLER, "GET", f"/v1/quotes/{quote['id']}.pdf", headers={"Prefer": "wait=20"})
            scene.expect(pdf.status == 200, "I1", f"the PDF for {name!r} was answered {pdf.status}")
            scene.expect(b"root:" not in pdf.body, "I3", f"the PDF for {name!r} holds a file of the host")
        scene.expect(not heard, "I3", f"rendering called {heard}")
    long = shop.call(Role.SELLER, "POST", "/v1/quotes", shop.body(customer={"name": "x" * 900_000})).status
    scene.expect(long == 422, "I4", f"a name of 900,000 letters was answered {long}")


@case(49, "line ends, escapes and secrets in what is logged")
def logs(scene: Scene) -> None:
    """One JSON object per line, and none with a name, a key or a price of a customer."""
    for tenant in TENANTS:
        person = scene.driver.person(tenant)
        name = f"\u001b[31m{person.canary}\r\nlevel=critical {person.token}"
        key = scene.questions.key()
        scene.driver.send(person, "GET", "/v1/runs?limit=1", headers={"X-Request-Id": person.token})
        for body in (
            {"name": name, "workload": scene.questions.fresh()},
            {"name": name, "workload": {"kind": person.token}},
            body_of(person, key, scene.questions.fresh()) | {person.token: name},
        ):
            scene.driver.send(person, "POST", _WORKLOADS, body, headers={"X-Request-Id": f"x {person.token}"})
            scene.seen.bad_inputs += 1
        for path in (f"/v1/runs/{person.token}", f"/v1/{person.token}", f"/v1/runs?cursor={person.token}"):
            scene.driver.send(person, "GET", path)
            scene.seen.bad_inputs += 1
