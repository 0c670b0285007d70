"""Memory of a server: modules of one size, enough for its GPUs and its work, never more than the server takes."""

from decimal import Decimal

import pytest

from service.quoting.host_memory import MemoryRule, ServerMemory, planned_memory

RULE = MemoryRule(gpu_memory_ratio=Decimal(1), module_gb=(16, 64, 96, 128, 256), basis="estimated", sources=())


@pytest.mark.parametrize(
    ("slots", "gpus_gb", "most_tb", "work_gb", "told"),
    [
        (32, 2160.0, 4.0, 0.0, "32 x 96 GB = 3,072 GB planned, at least the 2,160 GB of its GPUs"),
        (32, 768.0, 4.0, 1152.0, "32 x 64 GB = 2,048 GB planned, at least the 1,152 GB of its work"),
        (24, 100.0, None, 100.0, "24 x 16 GB = 384 GB planned, at least the 100 GB of its GPUs"),
        (
            8,
            2160.0,
            1.0,
            0.0,
            "8 x 128 GB = 1,024 GB planned, the most that it takes, less than the 2,160 GB of its GPUs",
        ),
        (32, 100.0, 0.1, 0.0, "32 slots; modules to be stated by the seller"),
        (0, 100.0, 0.48, 0.0, "0.48 TB, soldered"),
        (None, 100.0, 2.0, 0.0, "2 TB, slots not published"),
        (None, 100.0, None, 0.0, "not published"),
    ],
)
def test_the_smallest_modules_that_are_enough(slots, gpus_gb, most_tb, work_gb, told):
    server = ServerMemory(slots=slots, most_tb=most_tb, gpus_gb=gpus_gb)
    assert planned_memory(RULE, server, work_gb=work_gb) == told
