"""A batch from its upload to its last result, beside the function of scripts/size in a plain loop."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import orjson

from config.environment import ROOT
from scripts.benchmark import procfs
from scripts.benchmark.installation import Installation, pids
from scripts.benchmark.workloads import workloads
from scripts.size_file import answer
from scripts.trouble import Trouble
from service.catalog.load import load_catalog
from service.catalog.prices import load_price_book

_NDJSON = {"Content-Type": "application/x-ndjson"}
_POLL_S = 0.25
_WITHIN_S = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One batch: seconds until it was accepted, until its last item had an end, and until all results were read."""

    items: int
    reused_items: int
    accepted_s: float
    sized_s: float
    read_s: float
    cpu_s: float
    result_bytes: int

    @property
    def items_s(self) -> float:
        """Items per second, from the first byte of the upload to the last one of the results."""
        return self.items / self.read_s

    @property
    def cpu_ms_item(self) -> float:
        """CPU time of all processes of the product for one item [ms]."""
        return self.cpu_s * 1e3 / self.items


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFigures:
    """Distinct questions; the same again, whose answers are known; the plain loop; memory of all processes [MiB]."""

    distinct: Sent
    duplicates: Sent
    loop_items: int
    loop_items_s: float
    loop_cpu_ms_item: float
    idle_mib: float
    half_way_mib: float
    most_mib: float


def measure(installation: Installation, *, items: int, loop_items: int, say: Callable[[str], None]) -> BatchFigures:
    """The plain loop first, alone; then the batch of distinct questions, then the same once more."""
    asked = workloads(items)
    body = b"".join(orjson.dumps(one) + b"\n" for one in asked)
    say(f"batch: {loop_items} workloads in a plain loop")
    loop_s, loop_cpu_s = _plain_loop([orjson.dumps(one) for one in asked[:loop_items]])
    held: list[float] = []
    idle = _held_mib(installation)
    with installation.client() as client:
        say(f"batch: {items:,} distinct workloads")
        distinct = _send(installation, client, body, held)
        say("batch: the same again")
        duplicates = _send(installation, client, body, [])
    installation.check_alive()
    return BatchFigures(
        distinct=distinct,
        duplicates=duplicates,
        loop_items=loop_items,
        loop_items_s=loop_items / loop_s,
        loop_cpu_ms_item=loop_cpu_s * 1e3 / loop_items,
        idle_mib=idle,
        half_way_mib=held[len(held) // 2],
        most_mib=max(held),
    )


def _plain_loop(bodies: list[bytes]) -> tuple[float, float]:
    """Seconds and CPU seconds of sizing each as scripts/size does, facts read before."""
    facts = load_catalog(ROOT / "config"), load_price_book(ROOT / "config")
    for body in bodies[:10]:
        answer(body, facts)
    started_s, cpu_s = time.perf_counter(), time.process_time()
    for body in bodies:
        orjson.dumps(answer(body, facts)[1])
    return time.perf_counter() - started_s, time.process_time() - cpu_s


def _send(installation: Installation, client: httpx.Client, body: bytes, held: list[float]) -> Sent:
    before = _cpu(installation)
    started = time.perf_counter()
    posted = client.post("/v1/batches", content=body, headers=_NDJSON)
    accepted_s = time.perf_counter() - started
    if posted.status_code != httpx.codes.ACCEPTED:
        raise Trouble(f"A batch was not accepted: HTTP {posted.status_code} {posted.text[:300]}")
    place = posted.headers["Location"]
    while (batch := client.get(place).json())["status"] not in {"done", "cancelled"}:
        held.append(_held_mib(installation))
        if time.perf_counter() - started > _WITHIN_S:
            raise Trouble(f"A batch did not end: {batch['counts']}")
        time.sleep(_POLL_S)
    sized_s = time.perf_counter() - started
    size = sum(len(piece) for piece in _results(client, place))
    read_s = time.perf_counter() - started
    held.append(_held_mib(installation))
    counts = batch["counts"]
    if counts["done"] + counts["infeasible"] != batch["items"]:
        raise Trouble(f"Items of the batch were not answered: {counts}")
    return Sent(
        items=batch["items"],
        reused_items=batch["reused_items"],
        accepted_s=accepted_s,
        sized_s=sized_s,
        read_s=read_s,
        cpu_s=procfs.cpu_between(before, _cpu(installation)),
        result_bytes=size,
    )


def _results(client: httpx.Client, place: str) -> list[bytes]:
    with client.stream("GET", f"{place}/results", headers={"Accept": "application/x-ndjson"}) as answer:
        return [piece for piece in answer.iter_bytes() if answer.is_success]


def _cpu(installation: Installation) -> dict[int, float]:
    return procfs.cpu_s(pid for child in installation.product for pid in pids(child))


def _held_mib(installation: Installation) -> float:
    found = (procfs.memory(pid) for child in installation.product for pid in pids(child))
    return sum(memory.pss_mib or memory.rss_mib for memory in found if memory is not None)
