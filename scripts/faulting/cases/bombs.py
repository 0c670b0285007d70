"""Case 41: bodies that are made to cost much, each held to what it cost by itself."""

import gzip
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from scripts.benchmark.procfs import cpu_between, cpu_s, family, forget_peaks, growth_mib, peaks_mib
from scripts.faulting.answer import Answer
from scripts.faulting.case import case
from scripts.faulting.member import Member
from scripts.faulting.raw import chunked, exchange
from scripts.faulting.scene import Scene
from scripts.pace import slowness
from service.access import Role

_WORKLOADS, _BATCHES, _BOOKS, _TRIED = "/v1/workloads", "/v1/batches", "/v1/price-books", "/v1/batches?dry_run=true"
_JSON, _NDJSON, _CSV = "application/json", "application/x-ndjson", "text/csv"
_BOOK_TABLE = f"{_BOOKS}?name=x&currency=USD&date=2026-11-01"
_REFUSED = {400, 408, 413, 415, 422}
_MOST_CPU_S = 1.0
_MOST_GROWTH_MIB = 50.0
_THROWS = 3
_MEGABYTE = b" " * 1_000_000
_MILLION = 1_000_000
# A body in chunks, whose length nobody tells.
_CHUNKS = -1
_MEBIBYTE = b" " * 1_048_576


@dataclass(frozen=True, slots=True, kw_only=True)
class Bomb:
    """A body that is no request, what is wrong about it, and where it is sent."""

    words: str
    path: str
    body: Callable[[], Iterable[bytes]]
    media_type: str = _JSON
    coding: str = ""
    wanted: frozenset[int] = frozenset(_REFUSED)
    length: int | None = None
    pause_s: float = 0.0


def _whole(body: bytes) -> Callable[[], Iterable[bytes]]:
    return lambda: (body,)


def _list_of(item: bytes, count: int) -> Callable[[], Iterable[bytes]]:
    """So many of an item, and something after the list."""
    return lambda: (b"[", *[item + b","] * (count - 1), item, b"]x")


def _malformed(path: str, around: bytes) -> Iterator[Bomb]:
    """What no JSON may be, on a route that takes one object."""
    for words, body in (
        ("100,000 lists in one another", b"[" * 100_000 + b"]" * 100_000),
        ("100,000 objects in one another", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        ("40,000 members", b"{" + b",".join(b'"k%d":1' % n for n in range(40_000)) + b"}"),
        ("a member twice", b'{"name": "a", "name": "b"}'),
        ("NaN", around % b"NaN"),
        ("Infinity", around % b"Infinity"),
        ("1e999", around % b"1e999"),
        ("a number of 10,000 digits", around % (b"9" * 10_000)),
        ("half a surrogate pair", b'{"name": "\\ud800"}'),
        ("a NUL", b'{"name": "a\\u0000b"}'),
        ("bytes that are no UTF-8", b'{"name": "\xff\xfe"}'),
        ("half a document", b'{"name": '),
        ("nothing", b""),
        ("a list", b"[]"),
        ("a string", b'"x"'),
    ):
        yield Bomb(words=words, path=path, body=_whole(body))


def _of_item(words: str, value: bytes) -> Iterator[Bomb]:
    """In an item of a batch, as a list and as a line: wrong in that item alone."""
    item = b'{"name": "x", "workload": {"kind": "inference", "isl_tokens": %s}}' % value
    told = frozenset({200, *_REFUSED})
    yield Bomb(words=f"{words} in a list", path=_TRIED, body=_whole(b"[%s]" % item), wanted=told)
    yield Bomb(words=f"{words} in a line", path=_TRIED, body=_whole(item), media_type=_NDJSON, wanted=told)


def _items() -> Iterator[Bomb]:
    for words, value in (
        ("a number of 10,000 digits", b"9" * 10_000),
        ("NaN", b"NaN"),
        ("1e999", b"1e999"),
        ("half a surrogate pair", b'"\\ud800"'),
        ("a NUL", b'"a\\u0000b"'),
        ("a member twice", b'1, "isl_tokens": 2'),
        ("100,000 lists in one another", b"[" * 100_000 + b"]" * 100_000),
    ):
        yield from _of_item(words, value)


def _keys(count: int) -> Iterator[bytes]:
    yield b"{" + b",".join(b'"k%d":1' % n for n in range(count)) + b"}"


def _large() -> Iterator[Bomb]:
    """As much as the longest upload may have, and more."""
    of_items = frozenset({200, *_REFUSED})
    for path in (_WORKLOADS, _BOOKS):
        yield Bomb(words="10^6 members", path=path, body=lambda: _keys(_MILLION))
    yield Bomb(
        words="10^6 members in a list", path=_TRIED, body=lambda: (b"[", *_keys(_MILLION), b"]"), wanted=of_items
    )
    yield Bomb(
        words="10^6 members in a line", path=_TRIED, body=lambda: _keys(_MILLION), media_type=_NDJSON, wanted=of_items
    )
    for path, media_type in ((_BATCHES, _JSON), (_BATCHES, _NDJSON), (_BATCHES, _CSV), (_BOOKS, _JSON)):
        yield Bomb(
            words=f"60 MB of spaces as {media_type}", path=path, body=lambda: [_MEGABYTE] * 60, media_type=media_type
        )
    yield Bomb(words="15 MB of blank lines", path=_BATCHES, body=_whole(b"\n" * 15 * _MILLION), media_type=_NDJSON)
    yield Bomb(words="300,000 items", path=_TRIED, body=_whole(b"{}\n" * 300_000), media_type=_NDJSON)
    for words, item in (
        ("66 items of 470,000 numbers", b"[" + b"1," * 469_999 + b"1]"),
        ("66 items of 70,000 members", next(_keys(70_000))),
    ):
        yield Bomb(words=words, path=_BATCHES, body=_list_of(item, 66))
    escapes = b'"' + rb"\"" * 318 + b'"'
    yield Bomb(words="63 MB of escapes", path=_BATCHES, body=_list_of(escapes, 99_000))
    yield from _tables()
    row = b"name\n" + b"x," * 20 * _MILLION + b"\n"
    yield Bomb(words="a row of 40 MB", path=_TRIED, body=_whole(row), media_type=_CSV, wanted=of_items)
    heading = b",".join(b"c%d" % n for n in range(_MILLION)) + b"\n1\n"
    for path in (_BATCHES, _BOOK_TABLE):
        yield Bomb(words="10^6 columns", path=path, body=_whole(heading), media_type=_CSV)
    for path in (_WORKLOADS, _BATCHES, _BOOKS):
        yield Bomb(words="100 MB", path=path, body=lambda: [b"[" * _MILLION] * 100, length=100 * _MILLION)


def _table_of(row: bytes) -> Callable[[], Iterable[bytes]]:
    return lambda: (b"name\n", row * 98_000, b'"')


def _tables() -> Iterator[Bomb]:
    """Rows of which each is allowed, and at the end a quote that is never closed."""
    for words, row in (
        ("lines and cells", b'"\n",' * 10 + b'"",' * 190 + b'""\n'),
        ("lines and cells that are no UTF-8", b'"\n",' * 9 + b"\xff," * 290 + b"x\n"),
        ("lines and quoted cells that are no UTF-8", b'"\n",' * 10 + b'"\xff",' * 150 + b"x\n"),
        ("lines and text", b'"' + b"\n" * 4 + b'",' + b"x" * 620 + b"\n"),
        ("lines alone", b'"' + b"\n" * 10 + b'"\n'),
    ):
        yield Bomb(words=f"98,000 rows of {words}", path=_BATCHES, body=_table_of(row), media_type=_CSV)


def _otherwise(slow_pieces: int) -> Iterator[Bomb]:
    """What is wrong about the sending."""
    for path in (_WORKLOADS, _BATCHES, _BOOKS):
        packed = gzip.compress(_MEBIBYTE * 20)
        only = frozenset({415})
        yield Bomb(words="gzip", path=path, body=_whole(packed), coding="gzip", wanted=only)
        form = "application/x-www-form-urlencoded"
        yield Bomb(words="a form", path=path, body=_whole(b"a=1"), media_type=form, wanted=only)
        yield Bomb(words="UTF-16", path=path, body=_whole(b"{}"), media_type=f"{_JSON}; charset=utf-16")
        yield Bomb(words="text", path=path, body=_whole(b"{}"), media_type="text/plain", wanted=only)
    yield Bomb(words="5 MB in chunks", path=_WORKLOADS, body=lambda: [_MEBIBYTE] * 5, length=_CHUNKS)
    # The rig's web processes have no patience beyond three seconds.
    for path, length in ((_WORKLOADS, 1000), (_WORKLOADS, _CHUNKS), (_BATCHES, _CHUNKS)):
        slow = "in chunks" if length == _CHUNKS else "at a time"
        yield Bomb(words=f"a byte {slow}", path=path, body=lambda: [b" "] * slow_pieces, length=length, pause_s=0.5)


def _all(scene: Scene) -> Iterator[Bomb]:
    around = b'{"name": "x", "workload": {"kind": "inference", "isl_tokens": %s}}'
    yield from _malformed(_WORKLOADS, around)
    yield from _malformed(_BOOKS, b'{"name": "x", "currency": "USD", "date": "2026-11-01", "lines": %s}')
    yield from _items()
    large = list(_large())
    yield from large if scene.times(0, 1) else scene.rng.sample(large, 5)
    yield from _otherwise(scene.times(8, 30))


@case(41, "bodies that are bombs", quick=True)
def bombs(scene: Scene) -> None:
    """Each refused by name, within a second of CPU and 50 MiB at its peak; the process lives.

    Of a batch a wrong item is refused by itself, so a batch with nothing else is told to have no good one. A charset
    that is not UTF-8 is 400 for one workload and 415 for an upload.
    """
    web = scene.rig.webs[0]
    assert web.running is not None
    pids = family(web.running.pid)
    spent_s, grown_mib = dict[str, float](), dict[str, float]()
    tried = 0
    for bomb in _all(scene):
        words = f"{bomb.words} on {bomb.path}"
        spent_s[words], grown_mib[words] = math.inf, 0.0
        # What others do on the same cores adds to the CPU time of a body and takes nothing off it: the least counts.
        # Nothing is kept of a body that was refused, so that the next throw costs as much.
        for _ in range(_THROWS):
            forget_peaks(pids)
            before, spent = peaks_mib(pids), cpu_s(pids)
            pace = slowness()
            answer = _thrown(scene, web, bomb)
            # As on an idle core. The pace may change meanwhile.
            spent_s[words] = min(spent_s[words], cpu_between(spent, cpu_s(pids)) / max(pace, slowness()))
            grown_mib[words] = max(grown_mib[words], growth_mib(before, peaks_mib(pids)))
            scene.expect(
                _is_refused(answer, bomb), "I4", f"{words} was answered {answer.status}: {answer.body[:100]!r}"
            )
            tried += 1
            if spent_s[words] < _MOST_CPU_S:
                break
    scene.seen.bad_inputs += tried
    for name, spread, most in (("CPU [s]", spent_s, _MOST_CPU_S), ("growth [MiB]", grown_mib, _MOST_GROWTH_MIB)):
        worst = max(spread, key=spread.__getitem__)
        scene.note(f"most {name}", f"{spread[worst]:.2f} for {worst}")
        for words, value in spread.items():
            scene.expect(value < most, "I7", f"{words}: {name} {value:.2f}, and not below {most:g}")
    scene.expect(family(web.running.pid) == pids, "I7", "a bad body ended a web process")


def _is_refused(answer: Answer, bomb: Bomb) -> bool:
    if answer.status not in bomb.wanted:
        return False
    told = answer.json()
    return answer.status != 200 or (told["accepted"] == 0 and told["refused"] > 0)


def _thrown(scene: Scene, web: Member, bomb: Bomb) -> Answer:
    """The answer to its bytes, sent by hand: a client of good manners would not send all of them."""
    person = scene.driver.person(role=Role.ADMIN)
    pieces = list(bomb.body())
    size = sum(map(len, pieces)) if bomb.length is None else bomb.length
    fields = [
        f"POST {bomb.path} HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {person.token}",
        f"Content-Type: {bomb.media_type}",
        *([f"Content-Encoding: {bomb.coding}"] if bomb.coding else []),
        "Transfer-Encoding: chunked" if size == _CHUNKS else f"Content-Length: {size}",
    ]
    assert web.port is not None
    sent = chunked(pieces) if size == _CHUNKS else pieces
    answer = exchange(web.port, "\n".join(fields) + "\n\n", sent, pause_s=bomb.pause_s)
    scene.driver.ledger.received(person.tenant, "POST", bomb.path, answer)
    return answer
