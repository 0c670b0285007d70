"""Memory of a server as it is planned: modules of one size in every slot, enough for its GPUs and its work."""

import math
from dataclasses import dataclass
from decimal import Decimal

# Modules are sold by powers of two, and a server of "4 TB" takes 32 of 128 GB.
_GB_TB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRule:
    """At least `gpu_memory_ratio` x the memory of the GPUs, from modules of these sizes [GB]."""

    gpu_memory_ratio: Decimal
    module_gb: tuple[int, ...]
    basis: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerMemory:
    """Slots of a server (None: not published; 0: soldered), the most that it takes, and what its GPUs have."""

    slots: int | None
    most_tb: float | None
    gpus_gb: float


def planned_memory(rule: MemoryRule, server: ServerMemory, *, work_gb: float = 0.0) -> str:
    """What is planned, in words: modules where there are slots, what is soldered where there are none.

    The smallest modules that are enough for the GPUs and for `work_gb`, which its work asks of each server, or the
    largest that the server takes.
    """
    if server.slots:
        return _modules(rule, server, slots=server.slots, work_gb=work_gb)
    if server.most_tb is None:
        return "not published"
    return f"{server.most_tb:g} TB" + (", slots not published" if server.slots is None else ", soldered")


def _modules(rule: MemoryRule, server: ServerMemory, *, slots: int, work_gb: float) -> str:
    of_gpus = float(rule.gpu_memory_ratio) * server.gpus_gb
    wanted = max(of_gpus, work_gb)
    most_gb = math.inf if server.most_tb is None else server.most_tb * _GB_TB
    takes = [size for size in sorted(rule.module_gb) if slots * size <= most_gb]
    if not takes:
        return f"{slots} slots; modules to be stated by the seller"
    size = next((size for size in takes if slots * size >= wanted), takes[-1])
    enough = "at least" if slots * size >= wanted else "the most that it takes, less than"
    whose = f"{server.gpus_gb:,.0f} GB of its GPUs" if of_gpus >= work_gb else f"{work_gb:,.0f} GB of its work"
    return f"{slots} x {size} GB = {slots * size:,} GB planned, {enough} the {whose}"
