"""The candidates of one inference search: those of every group, each on all servers that it stands for."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from service.sizing.inference.fleet import Fleet
from service.sizing.inference.groups import Group, needs_fabric, stands_for
from service.sizing.rank import Verdict
from service.sizing.table import BoolArray, FloatArray, HardwareTable, IntArray
from service.sizing.workload import Availability, InferenceWorkload

_Kind = TypeVar("_Kind", np.int64, np.float64, np.bool_)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """All candidates of all servers, one after another; `group` and `local` lead back to a group's own row.

    `speed` is what the Pareto front trades against cost and power: tokens/s of one user, or requests/s of the fleet
    where that is what the question leaves open, `sure_speed` the same at the asked confidence; `output` is what the
    fleet carries at most.
    """

    group: IntArray
    local: IntArray
    server: IntArray
    servers: IntArray
    speed: FloatArray
    sure_speed: FloatArray
    output: FloatArray
    east_west: BoolArray
    verdict: Verdict


def candidates_of(
    groups: list[Group], fleets: list[Fleet], workload: InferenceWorkload, table: HardwareTable
) -> Candidates:
    """Those that were planned, and those that were refused before; `fleets` are those of the groups, in their order."""
    parts = [_part(place, group, fleets[place], workload, table) for place, group in enumerate(groups)]
    parts += [_misfits(place, group, table) for place, group in enumerate(groups)]
    return _joined(parts)


def _part(place: int, group: Group, fleet: Fleet, workload: InferenceWorkload, table: HardwareTable) -> Candidates:
    """The planned candidates of one group on every server that they stand for."""
    spare = 1 if workload.availability is Availability.N_PLUS_1 else 0
    local, server = stands_for(group.layouts.server, group.servers, table)
    output = fleet.predicted * fleet.instances
    speed, sure = fleet.tokens_s_user, 1.0 / fleet.margins.tpot
    if by_fleet(workload):
        speed, sure = fleet.requests_s, fleet.margins.rate
    return Candidates(
        group=np.full(local.size, place),
        local=local,
        server=server,
        servers=fleet.servers[local] + spare,
        speed=speed[local],
        sure_speed=(speed * sure)[local],
        output=output[local],
        east_west=needs_fabric(group, table)[local],
        verdict=fleet.verdict.take(local),
    )


def _misfits(place: int, group: Group, table: HardwareTable) -> Candidates:
    """Those that were refused before they were planned."""
    local, server = stands_for(group.misfit.server, group.servers, table)
    nothing = np.zeros(local.size)
    return Candidates(
        group=np.full(local.size, place),
        local=local,
        server=server,
        servers=np.ones(local.size, dtype=np.int64),
        speed=nothing,
        sure_speed=nothing,
        output=nothing,
        east_west=np.zeros(local.size, dtype=np.bool_),
        verdict=group.misfit.verdict.take(local),
    )


def _joined(parts: list[Candidates]) -> Candidates:
    """All of them; of no parts a pool without candidates."""
    verdicts = [part.verdict for part in parts]
    return Candidates(
        group=_all([part.group for part in parts], np.int64),
        local=_all([part.local for part in parts], np.int64),
        server=_all([part.server for part in parts], np.int64),
        servers=_all([part.servers for part in parts], np.int64),
        speed=_all([part.speed for part in parts], np.float64),
        sure_speed=_all([part.sure_speed for part in parts], np.float64),
        output=_all([part.output for part in parts], np.float64),
        east_west=_all([part.east_west for part in parts], np.bool_),
        verdict=Verdict(
            stage=_all([v.stage for v in verdicts], np.int64),
            required=_all([v.required for v in verdicts], np.float64),
            available=_all([v.available for v in verdicts], np.float64),
        ),
    )


def _all(columns: list[NDArray[_Kind]], kind: type[_Kind]) -> NDArray[_Kind]:
    return np.concatenate(columns) if columns else np.zeros(0, dtype=kind)


def by_fleet(workload: InferenceWorkload) -> bool:
    """Whether speed is what the fleet carries: not where a user's speed is bounded, nor where the rate is given."""
    return workload.slo is None and (
        workload.demand.concurrency is not None or workload.demand.saturate_gpus is not None
    )
