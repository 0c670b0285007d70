"""Memory of a server: modules of one size that are enough for its GPUs, never more than the server takes."""

from decimal import Decimal

import pytest

from service.quoting.host_memory import MemoryRule, planned_memory

RULE = MemoryRule(gpu_memory_ratio=Decimal(1), module_gb=(16, 64, 96, 128, 256), basis="estimated", sources=())


@pytest.mark.parametrize(
    ("slots", "gpus_gb", "most_tb", "told"),
    [
        (32, 2160.0, 4.0, "32 x 96 GB = 3,072 GB planned, at least the 2,160 GB of its GPUs"),
        (24, 100.0, None, "24 x 16 GB = 384 GB planned, at least the 100 GB of its GPUs"),
        (8, 2160.0, 1.0, "8 x 128 GB = 1,024 GB planned, the most that it takes, less than the 2,160 GB of its GPUs"),
        (32, 100.0, 0.1, "32 slots; modules to be stated by the seller"),
    ],
)
def test_the_smallest_modules_that_are_enough(slots, gpus_gb, most_tb, told):
    assert planned_memory(RULE, slots=slots, gpus_memory_gb=gpus_gb, most_tb=most_tb) == told
