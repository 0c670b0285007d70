"""Servers that the constraints leave, and why each of the others is not among them."""

from functools import lru_cache

import numpy as np

from service.sizing.hardware import ServerSpec, air_heat_kw
from service.sizing.numeric import NOISE
from service.sizing.rank import UNITS
from service.sizing.result import Limit, Rejection
from service.sizing.spoken import spoken
from service.sizing.table import HardwareTable, IntArray
from service.sizing.workload import Constraints


@lru_cache(maxsize=256)
def admissible(table: HardwareTable, constraints: Constraints) -> tuple[IntArray, tuple[Rejection, ...]]:
    """Rows of the servers that the constraints leave, and a rejection for each of the others; found once for all.

    Reference systems are evidence, not goods: they are left out, and said to be so when somebody asks for one.
    """
    rows: list[int] = []
    rejected: list[Rejection] = []
    for row, server in enumerate(table.servers):
        if server.reference and not _asked_for(server, table, constraints):
            continue
        refusal = _server_refusal(server, table, constraints)
        if refusal is None:
            rows.append(row)
        else:
            rejected.append(refusal)
    left = np.array(rows, dtype=np.int64)
    left.flags.writeable = False
    return left, tuple(rejected)


def _asked_for(server: ServerSpec, table: HardwareTable, constraints: Constraints) -> bool:
    """Whether the constraints ask for this very server: by its name, where no name is given by its GPU."""
    if constraints.allowed_servers is None:
        return constraints.allowed_gpus is not None and server.gpu in constraints.allowed_gpus
    only = all(other.reference for other in _namesakes(server, table, constraints))
    return _server_allowed(server, constraints) and (only or _gpu_allowed(server, constraints))


def _server_allowed(server: ServerSpec, constraints: Constraints) -> bool:
    allowed = constraints.allowed_servers
    return allowed is None or server.id in allowed or server.family in allowed


def _gpu_allowed(server: ServerSpec, constraints: Constraints) -> bool:
    return constraints.allowed_gpus is None or server.gpu in constraints.allowed_gpus


def _namesakes(server: ServerSpec, table: HardwareTable, constraints: Constraints) -> tuple[ServerSpec, ...]:
    """What the name by which a server is allowed stands for: its whole family, or the server alone."""
    if server.family not in (constraints.allowed_servers or ()):
        return (server,)
    return tuple(other for other in table.servers if other.family == server.family)


def _gpu_refusal(server: ServerSpec, table: HardwareTable, constraints: Constraints) -> Rejection:
    """Why a server whose GPU is not allowed is refused: where it was named, it is the wrong server for those GPUs."""
    namesakes = _namesakes(server, table, constraints)
    if constraints.allowed_servers is None or any(_gpu_allowed(other, constraints) for other in namesakes):
        return _rejection(server, Limit.NOT_ALLOWED, f"its GPU {server.gpu} is not among constraints.allowed_gpus")
    carried = sorted({other.gpu for other in namesakes if not other.reference} or {other.gpu for other in namesakes})
    who = server.family if server.family in constraints.allowed_servers else "it"
    wanted = " or ".join(constraints.allowed_gpus or ())
    return _rejection(server, Limit.GPU_NOT_CARRIED, f"does not carry {wanted}; {who} carries {' or '.join(carried)}")


def _server_refusal(server: ServerSpec, table: HardwareTable, constraints: Constraints) -> Rejection | None:
    if not _server_allowed(server, constraints):
        return _rejection(server, Limit.NOT_ALLOWED, "not among constraints.allowed_servers")
    if not _gpu_allowed(server, constraints):
        return _gpu_refusal(server, table, constraints)
    if server.reference:
        reason = "is a reference system: measured runs name it, nobody can order it here"
        return _rejection(server, Limit.REFERENCE, reason)
    if constraints.cooling is not None and server.cooling != constraints.cooling:
        return _rejection(
            server, Limit.COOLING, f"is cooled by {server.cooling}, the site allows {constraints.cooling}"
        )
    return _rack_refusal(server, constraints)


def _rack_refusal(server: ServerSpec, constraints: Constraints) -> Rejection | None:
    """The first limit of a rack that one server alone is over; an unknown figure cannot be checked."""
    if server.rack_units is None:
        return None
    checks = (
        (Limit.RACK_POWER, constraints.max_rack_kw, server.plan_power_kw, "draws", "may draw"),
        (Limit.RACK_AIR, constraints.max_rack_air_kw, air_heat_kw(server), "heats the air with", "may heat it with"),
        (Limit.RACK_WEIGHT, constraints.max_rack_kg, server.weight_kg, "weighs", "carries"),
    )
    for limit, most, needed, does, may in checks:
        if most is None:
            continue
        if needed is None:
            what = {Limit.RACK_POWER: "power", Limit.RACK_AIR: "split of heat"}.get(limit, "weight")
            return _rejection(server, Limit.UNKNOWN_FACT, f"its {what} is unknown, so {limit} cannot be checked")
        if needed > most * (1.0 + NOISE):
            unit = UNITS[limit]
            return Rejection(
                server=server.id,
                limit=limit,
                candidates=1,
                detail=f"one server {does} {spoken(needed)} {unit}, a rack {may} {spoken(most)} {unit}",
                required=needed,
                available=most,
                unit=unit,
            )
    return None


def _rejection(server: ServerSpec, limit: Limit, detail: str) -> Rejection:
    return Rejection(server=server.id, limit=limit, candidates=1, detail=detail)
