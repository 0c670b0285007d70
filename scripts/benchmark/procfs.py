"""What Linux tells about processes: who descends from whom, CPU time spent, memory held."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_TICKS_S = os.sysconf("SC_CLK_TCK")
# Places in /proc/PID/stat after the name, which may hold spaces and parentheses.
_PARENT, _USER, _SYSTEM = 1, 11, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Memory of one process [MiB]. PSS counts a page that n processes share as 1/n; None where it may not be read."""

    rss_mib: float
    pss_mib: float | None


def stat_fields(text: str) -> list[str]:
    """The fields of /proc/PID/stat that follow the process's name."""
    return text.rpartition(")")[2].split()


def _stat(pid: int) -> list[str] | None:
    try:
        return stat_fields((PROC / str(pid) / "stat").read_text())
    except OSError:
        return None


def family(pid: int) -> list[int]:
    """A process and everybody who descends from it; parents first."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))) is not None:
            children.setdefault(int(fields[_PARENT]), []).append(int(entry.name))
    found = [pid]
    for member in found:
        found += sorted(children.get(member, []))
    return found


def cpu_s(pids: Iterable[int]) -> dict[int, float]:
    """CPU time that each process has spent so far [s], user and system; who has ended is left out."""
    spent = {}
    for pid in pids:
        if (fields := _stat(pid)) is not None:
            spent[pid] = (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS_S
    return spent


def cpu_between(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    """CPU time spent between two looks [s]; a process that ended in between counts as far as it was seen."""
    return sum(spent - before.get(pid, 0.0) for pid, spent in after.items())


def sockets(pid: int) -> set[str]:
    """The sockets that a process has open, each by the name that it has in all processes."""
    found = set()
    with suppress(OSError):
        for path in (PROC / str(pid) / "fd").iterdir():
            # It may be closed by now.
            with suppress(OSError):
                found.add(str(path.readlink()))
    return {name for name in found if name.startswith("socket:")}


def memory(pid: int) -> Memory | None:
    """What a process holds; None when it has ended."""
    try:
        sizes = memory_fields((PROC / str(pid) / "smaps_rollup").read_text())
        return Memory(rss_mib=sizes["Rss"], pss_mib=sizes["Pss"])
    except (OSError, KeyError):
        pass
    try:
        return Memory(rss_mib=memory_fields((PROC / str(pid) / "status").read_text())["VmRSS"], pss_mib=None)
    except (OSError, KeyError):
        return None


def forget_peaks(pids: Iterable[int]) -> None:
    """Let the peak of each process begin anew, at what it holds now."""
    for pid in pids:
        (PROC / str(pid) / "clear_refs").write_text("5")


def peaks_mib(pids: Iterable[int]) -> dict[int, float]:
    """The most that each process has held since its peak began [MiB]; who has ended is left out."""
    found = {}
    for pid in pids:
        with suppress(OSError, KeyError):
            found[pid] = memory_fields((PROC / str(pid) / "status").read_text())["VmHWM"]
    return found


def growth_mib(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    """By how much the peak of one process has grown at most [MiB]; all of one that has begun in between is growth."""
    return max(peak - before.get(pid, 0.0) for pid, peak in after.items())


def memory_fields(text: str) -> dict[str, float]:
    """The sizes in a file of /proc [MiB], by name."""
    sizes = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 2 and words[1] == "kB":
            sizes[name] = int(words[0]) / 1024
    return sizes
