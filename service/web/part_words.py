"""What people call the records of the catalog, by their ids."""

from collections.abc import Callable, Iterator
from typing import Any

from service.documents.labels import assumption_name, limit_name
from service.edge.context import runtime
from service.quoting.indicative import CALLED, CostLine
from service.sizing.hardware import Hardware
from service.web.sentence import gpu_name, server_name
from service.web.wording import TIMES


def part_name(part_id: str | None) -> str:
    """The name of a GPU, a server, a switch or another part; whatever the catalog does not know stays as it is."""
    if part_id is None:
        return ""
    hardware = runtime().catalog.hardware
    return next((name for known, name in _named(hardware) if known == part_id), part_id)


def _named(hardware: Hardware) -> Iterator[tuple[str, str]]:
    yield from ((gpu.id, gpu_name(hardware, gpu.id)) for gpu in hardware.gpus)
    yield from ((switch.id, switch.name) for switch in hardware.switches)
    for server in hardware.servers:
        # One server is told from another of its kind by its GPUs.
        yield server.id, f"{server_name(server.name)}, {server.gpus} {TIMES} {gpu_name(hardware, server.gpu)}"


def cost_name(line: CostLine) -> str:
    """What a part of the cost is called, in answers that were kept under its id too."""
    return CALLED.get(line.part, line.name)


FILTERS: dict[str, Callable[..., Any]] = {
    "assumption_name": assumption_name,
    "cost_name": cost_name,
    "limit_name": limit_name,
    "part_name": part_name,
}
