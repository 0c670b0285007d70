"""Memory of a server as it is planned: modules of one size in every slot, as much as its GPUs' memory asks for."""

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


def planned_memory(rule: MemoryRule, *, slots: int, gpus_memory_gb: float, most_tb: float | None) -> str:
    """Which modules are planned, in words: the smallest that are enough, or the largest that the server takes."""
    wanted = float(rule.gpu_memory_ratio) * gpus_memory_gb
    most_gb = math.inf if most_tb is None else most_tb * _GB_TB
    takes = [size for size in sorted(rule.module_gb) if slots * size <= most_gb]
    if not takes:
        return f"{slots} slots; modules to be stated by the seller"
    size = next((size for size in takes if slots * size >= wanted), takes[-1])
    enough = "at least" if slots * size >= wanted else "the most that it takes, less than"
    return f"{slots} x {size} GB = {slots * size:,} GB planned, {enough} the {gpus_memory_gb:,.0f} GB of its GPUs"
