"""How many of each storage building block the shared uses take, as far as anything is published of it."""

import math
from dataclasses import replace
from functools import lru_cache

from service.sizing.hardware import StorageSpec
from service.sizing.result import StorageBlocks, StoragePlan

_SMALLEST = "the smallest cluster"


@lru_cache(maxsize=4096)
def with_blocks(plan: StoragePlan, blocks: tuple[StorageSpec, ...]) -> StoragePlan:
    """The plan with the count of every building block of the catalog."""
    return replace(plan, blocks=tuple(blocks_of(plan, block) for block in blocks))


def blocks_of(plan: StoragePlan, block: StorageSpec) -> StorageBlocks:
    """Blocks [count]: the most that capacity, reading and writing take of it.

    A figure that is not published falls back on what the block's network ports let through, which is a bound: then at
    least so many are needed. With neither, nothing is said of that figure.
    """
    asked = (
        ("capacity", plan.capacity_tb, block.capacity_tb, None),
        ("reading", plan.read_gb_s, block.read_gb_s, block.front_end_gb_s),
        ("writing", plan.write_gb_s, block.write_gb_s, block.front_end_gb_s),
    )
    counts: list[tuple[int, str]] = []
    unknown: list[str] = []
    for name, needed, gives, bound in asked:
        if not needed:
            continue
        if gives is None:
            unknown.append(name)
        if gives or bound:
            counts.append((math.ceil(needed / (gives or bound or math.inf)), name))
    if counts and block.nodes_least is not None:
        counts.append((block.nodes_least, _SMALLEST))
    most, binds = max(counts, key=lambda pair: pair[0], default=(None, "nothing published"))
    return StorageBlocks(
        block=block.id,
        blocks=most,
        at_least=most is not None and bool(unknown),
        binds=binds,
        unpublished=tuple(unknown),
    )
