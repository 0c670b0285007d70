"""I7: what processes and servers hold and compute once all is at rest, against what they held before the case."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg
import redis

from scripts.benchmark.procfs import PROC, cpu_between, cpu_s, memory
from scripts.faulting.failpoints import FOLDER_VARIABLE
from scripts.faulting.rig import Rig
from service.queue import KEY_PREFIX, QueueName
from service.sizing.units import GIB

SESSIONS = b"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'headroom'"
# So much more than before may stay: the protocol's fifth.
_MORE_FRACTION = 0.2
# A process that was just started has not grown to its size yet; what it may remember is bounded by its settings.
_WARMING_MIB = 48.0
# A pool keeps what it once opened, and a process that was started in this case or in one before had opened little: at
# rest it holds 16 sessions, 16 connections to the cache (of answers, and of what callers may draw) and 8 files of
# connections to the broker. What piles up is seen against the first case, before which the pools had opened least.
_SESSIONS = 16
_POOLED_FILES = _SESSIONS + 16 + 8
_BROKER_BYTES = GIB / 256
_MESSAGES = 10
_BACK_WITHIN_S = 30.0
# Whoever uses half a core and more while nothing is asked goes round in circles.
_IDLE_CORES, _LOOKED_AT_S = 0.5, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What is held, by name: memory [MiB] and open files of processes; sessions, memory of servers, messages."""

    memory_mib: Mapping[str, float]
    files: Mapping[str, int]
    sessions: int
    broker_bytes: int
    cache_bytes: int
    cache_limit_bytes: int
    messages: Mapping[str, int]
    orphans: tuple[str, ...]


def held(rig: Rig) -> Held:
    """What is held at this moment, seen from outside."""
    families = _families(rig)
    with psycopg.connect(rig.database.url, autocommit=True) as connection:
        row = connection.execute(SESSIONS).fetchone()
    with redis.Redis.from_url(rig.broker.url) as broker, redis.Redis.from_url(rig.cache.url) as cache:
        messages = {name.value: int(broker.llen(f"{KEY_PREFIX}{name.value}")) for name in QueueName}
        messages["unacknowledged"] = int(broker.hlen(f"{KEY_PREFIX}unacked"))
        told = cache.info("memory")
        return Held(
            memory_mib={
                name: sum(each.rss_mib for each in map(memory, pids) if each is not None)
                for name, pids in families.items()
            },
            files={name: sum(map(_open_files, pids)) for name, pids in families.items()},
            sessions=int(row[0]) if row else 0,
            broker_bytes=broker.info("memory")["used_memory"],
            cache_bytes=told["used_memory"],
            cache_limit_bytes=told["maxmemory"],
            messages=messages,
            orphans=tuple(_orphans(rig, {pid for pids in families.values() for pid in pids})),
        )


def _families(rig: Rig) -> dict[str, list[int]]:
    return {member.process.name: member.family for member in rig.members}


def _open_files(pid: int) -> int:
    try:
        return len(list((PROC / str(pid) / "fd").iterdir()))
    except OSError:
        return 0


def _orphans(rig: Rig, known: set[int]) -> Iterator[str]:
    """Processes that this rig's product has started and that none of its processes has as a descendant."""
    mark = f"{FOLDER_VARIABLE}={rig.environ[FOLDER_VARIABLE]}".encode()
    for entry in PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) in known:
            continue
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                yield (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue


def beyond(before: Held, after: Held, *, when: str = "before the case") -> Iterator[str]:
    """What is held now and should have been given back."""
    for what, was, now, slack in _pairs(before, after):
        if now > was * (1 + _MORE_FRACTION) + slack:
            yield f"{what}: {was:.0f} {when}, {now:.0f} after it"
    for command in after.orphans:
        yield f"a process is left over: {command}"


def _pairs(before: Held, after: Held) -> Iterator[tuple[str, float, float, float]]:
    """What is held: its name, then and now, and how much more may stay beyond the protocol's fifth."""
    for name, size in after.memory_mib.items():
        yield f"memory of {name} [MiB]", before.memory_mib.get(name, size), size, _WARMING_MIB
    for name, count in after.files.items():
        yield f"open files of {name}", before.files.get(name, count), count, _POOLED_FILES
    pooled = _SESSIONS * len(after.files)
    yield "database sessions", before.sessions, after.sessions, max(0, pooled - before.sessions)
    yield "bytes of the broker", before.broker_bytes, after.broker_bytes, _BROKER_BYTES
    # Answers stay in the cache until others take their place: what bounds it is its own limit.
    yield "bytes of the cache", after.cache_limit_bytes, after.cache_bytes, 0.0
    for name, count in after.messages.items():
        yield f"messages in {name}", before.messages[name], count, _MESSAGES


def not_given_back(rig: Rig, before: Held, *, first: Held, within_s: float = _BACK_WITHIN_S) -> list[str]:
    """What is beyond its bounds, of this case or of all so far, when the time to give it back is over."""
    until_s = time.monotonic() + within_s
    while found := _beyond_either(before, held(rig), first) or list(computing(_families(rig))):
        if time.monotonic() > until_s:
            return found
        time.sleep(0.5)
    return []


def computing(families: Mapping[str, Sequence[int]]) -> Iterator[str]:
    """Processes, by name, of which some compute although all is at rest."""
    spent_s = {name: cpu_s(pids) for name, pids in families.items()}
    time.sleep(_LOOKED_AT_S)
    for name, before_s in spent_s.items():
        cores = cpu_between(before_s, cpu_s(before_s)) / _LOOKED_AT_S
        if cores > _IDLE_CORES:
            yield f"{name} uses {cores:.1f} cores while nothing is asked"


def _beyond_either(before: Held, after: Held, first: Held) -> list[str]:
    """What every case may keep, many may not: a little of each would pass for ever."""
    found = [*beyond(before, after), *beyond(first, after, when="before the first case")]
    return list(dict.fromkeys(found))
