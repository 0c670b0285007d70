"""Ranked candidates of inference become options: operated at the demand, with everything around the GPUs."""

from dataclasses import dataclass

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.hardware import Hardware
from service.sizing.inference.asks import PointAsk
from service.sizing.inference.choice import Contest
from service.sizing.inference.explain import (
    held_sequences,
    inference_working,
    serving_bottleneck,
    serving_utilisation,
    step_floor,
)
from service.sizing.inference.fleet import Fleet
from service.sizing.inference.groups import Group, needs_fabric
from service.sizing.inference.layout import parallel_layout, pool_plan
from service.sizing.inference.operate import batch_limit
from service.sizing.inference.predict import (
    FleetFlow,
    PointValues,
    Promises,
    at_most,
    confidences_of,
    held_interval,
    promises_of,
    receipts_of,
    serving_metrics,
)
from service.sizing.inference.requests import Traffic
from service.sizing.inference.residuals import Spreads, spreads_of
from service.sizing.inference.traffic import FleetDemand, Unit, slo_seconds
from service.sizing.infrastructure import Infrastructure, infrastructure
from service.sizing.interval import Interval, Metric, interval
from service.sizing.joint import Sizing
from service.sizing.place import memory_parts
from service.sizing.result import MemoryPart, PoolPlan, Quantity, SizingOption, WorkingStep
from service.sizing.storage import VERSIONS_KEPT, inference_storage
from service.sizing.table import HardwareTable
from service.sizing.units import GB
from service.sizing.workload import Availability, Constraints, InferenceWorkload, Serving


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picked:
    """One ranked candidate: its group, its row there, the server, and how many of it with the spare ones."""

    group: Group
    fleet: Fleet
    row: int
    server: int
    servers: int

    @property
    def place(self) -> tuple[int, int]:
        """What candidates on servers of one kind have in common."""
        return id(self.group), self.row

    @property
    def layout(self) -> int:
        """Its row among all layouts of the bench."""
        return int(self.group.fits[self.row])

    @property
    def replicas(self) -> int:
        """Instances of either kind."""
        return int(self.fleet.instances[self.row] + self.fleet.prefill_instances[self.row])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """What all options of one sizing share."""

    workload: InferenceWorkload
    traffic: Traffic
    demand: FleetDemand
    hardware: Hardware
    table: HardwareTable
    calibration: Calibration
    constraints: Constraints
    # Whether options tell their working.
    explained: bool


def inference_options(
    picked: list[Picked], values: list[PointValues], scene: Scene, *, contest: Contest
) -> tuple[SizingOption, ...]:
    """Options in the order given, ranked from 1; `values` is what `operating_values` made of the same list."""
    places = {one.place: (one, value) for one, value in zip(reversed(picked), reversed(values), strict=True)}
    sure = confidences_of([_promises(one, value, scene) for one, value in places.values()])
    served = {
        place: _served(one, value, scene, confidence_fraction=confidence)
        for (place, (one, value)), confidence in zip(places.items(), sure, strict=True)
    }
    return tuple(_option(rank, one, served[one.place], scene, contest=contest) for rank, one in enumerate(picked, 1))


def operating_values(picked: list[Picked], scene: Scene) -> Sizing[list[PointValues]]:
    """Each candidate at the load that it will carry; candidates of one group are asked for together."""
    groups = {id(one.group): one.group for one in picked}.values()
    mine = [{one.row: one for one in picked if one.group is group} for group in groups]
    points = yield [_ask(list(some.values()), scene) for some in mine]
    found: dict[tuple[int, int], PointValues] = {}
    for some, values in zip(mine, points, strict=True):
        found |= {one.place: value for one, value in zip(some.values(), values, strict=True)}
    return [found[one.place] for one in picked]


def _ask(some: list[Picked], scene: Scene) -> PointAsk:
    """The points of candidates of one group."""
    group, fleet, demand = some[0].group, some[0].fleet, scene.demand
    rows = np.array([one.row for one in some], dtype=np.int64)
    return PointAsk(
        bench=group.bench,
        rows=group.fits[rows],
        traffic=scene.traffic,
        unit=demand.unit,
        wanted=fleet.predicted[rows] if demand.unit is Unit.GPUS else demand.wanted / fleet.instances[rows],
        limit=batch_limit(group.memory.take(group.fits[rows]), group.layouts.take(rows)),
        batch=fleet.batch[rows],
        # As many prefill instances as there are: whole ones wait less than those that match the rate.
        prefill_ratio=(fleet.prefill_instances / fleet.instances)[rows, None] if group.disaggregated else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Served:
    """What a candidate is on every server of its kind."""

    metrics: tuple[Metric, ...]
    confidence_fraction: float
    batch: float
    memory: tuple[MemoryPart, ...]
    memory_used_gb: float
    bottleneck: str
    utilisation: tuple[Quantity, ...]
    working: tuple[WorkingStep, ...]


def _spreads(one: Picked, scene: Scene) -> Spreads:
    group, gpu = one.group, scene.table.gpus[one.server].id
    return spreads_of(group.load.label, scene.calibration, gpu=gpu, disaggregated=group.disaggregated)


def _promises(one: Picked, values: PointValues, scene: Scene) -> Promises:
    ttft_s, tpot_s = slo_seconds(scene.workload)
    return promises_of(
        values,
        _spreads(one, scene),
        ttft_s=ttft_s,
        tpot_s=tpot_s,
        capacity=_capacity(one),
        demand=scene.demand.requests_s or 0.0,
    )


def _served(one: Picked, values: PointValues, scene: Scene, *, confidence_fraction: float) -> _Served:
    group, row, calibration, table = one.group, one.layout, scene.calibration, scene.table
    layouts, memory, load = group.bench.layouts, group.memory, group.load
    gpu = table.gpus[one.server].id
    traffic, spreads = scene.traffic, _spreads(one, scene)
    instance = int(layouts.gpus_instance[row])
    kv_cache = float(memory.sequence[row]) * values.batch / float(layouts.attention_dp[row])
    floor = step_floor(group.bench, values, table=table, context=traffic.decode_context_tokens, row=row)
    return _Served(
        metrics=serving_metrics(
            values,
            spreads,
            traffic,
            receipts=receipts_of(
                load, calibration, gpu=gpu, gpus=instance, in_flight=values.in_flight, traffic=traffic
            ),
            flow=_flow(one, values, spreads, scene),
            gpus=one.replicas * instance,
        ),
        confidence_fraction=confidence_fraction,
        batch=values.batch,
        memory=memory_parts(
            weights=float(memory.weights[row]),
            kv_cache=kv_cache,
            activations=float(memory.activations[row]),
            reserve=float(memory.reserve[row]),
        ),
        memory_used_gb=(float(memory.fixed[row]) + kv_cache) / GB,
        bottleneck=serving_bottleneck(floor, values, held=held_sequences(memory, layouts, row)),
        utilisation=serving_utilisation(floor, values),
        working=inference_working(group.bench, values, memory=memory, table=table, traffic=traffic, row=row)
        if scene.explained
        else (),
    )


def _around(one: Picked, scene: Scene) -> Infrastructure:
    """Network, storage and facility."""
    return infrastructure(
        scene.table.servers[one.server],
        scene.table.gpus[one.server],
        servers=one.servers,
        east_west=bool(needs_fabric(one.group, scene.table)[one.row]),
        storage=inference_storage(
            weights_bytes=one.group.load.checkpoint_bytes,
            versions=VERSIONS_KEPT,
            servers=one.servers,
            load_s=scene.calibration.assumption("inference.cold_start_load_s"),
        ),
        hardware=scene.hardware,
        constraints=scene.constraints,
        calibration=scene.calibration,
    )


def _option(rank: int, one: Picked, served: _Served, scene: Scene, *, contest: Contest) -> SizingOption:
    group, row = one.group, one.row
    server = scene.table.servers[one.server]
    around = _around(one, scene)
    spare = 1 if scene.workload.availability is Availability.N_PLUS_1 else 0
    return SizingOption(
        rank=rank,
        server=server.id,
        server_name=server.name,
        sku=server.sku,
        orderable=server.orderable,
        gpu=server.gpu,
        servers=one.servers,
        spare_servers=spare,
        gpus=one.servers * server.gpus,
        gpus_instance=int(group.layouts.gpus_instance[row]),
        replicas=one.replicas,
        layout=parallel_layout(group.layouts, row, ep=int(group.layouts.ep[row])),
        mode=str(Serving.DISAGGREGATED if group.disaggregated else Serving.AGGREGATED),
        prefill=_pool(one, one.fleet.prefill_instances[row]),
        decode=_pool(one, one.fleet.instances[row]),
        weight_precision=str(group.load.weight_precision),
        kv_precision=str(group.load.kv_precision),
        precision=None,
        batch=served.batch,
        metrics=served.metrics,
        confidence_fraction=served.confidence_fraction,
        memory_gb_gpu=served.memory,
        memory_used_gb_gpu=served.memory_used_gb,
        memory_usable_gb_gpu=float(group.memory.usable[one.layout]) / GB,
        bottleneck=served.bottleneck,
        utilisation=served.utilisation,
        network=around.network,
        storage=around.storage,
        facility=around.facility,
        requirements=(),
        notes=(*_notes(one, spare), *_preferred_to(one, scene, contest)),
        working=(*served.working, *around.working) if scene.explained else (),
    )


def _pool(one: Picked, instances: float) -> PoolPlan | None:
    """Both pools are of one layout."""
    return pool_plan(one.group.layouts, one.row, instances=int(instances)) if one.group.disaggregated else None


def _flow(one: Picked, values: PointValues, spreads: Spreads, scene: Scene) -> FleetFlow:
    """The demand, as far as the fleet carries it, and beside it the most that it carries within the SLO."""
    demand, traffic = scene.demand, scene.traffic
    instances = float(one.fleet.instances[one.row])
    most = values.requests_most_s * instances
    carried = at_most(most, interval(values.requests_s * instances, spreads.rate))
    if demand.requests_s is not None:
        capacity = at_most(most, interval(_capacity(one), spreads.rate))
        asked = at_most(demand.requests_s, capacity)
        held = held_interval(asked, values, traffic, spreads)
        return FleetFlow(requests_s=asked, in_flight=held, capacity_requests_s=capacity)
    if demand.in_flight is not None:
        in_flight = Interval(p10=demand.in_flight, p50=demand.in_flight, p90=demand.in_flight)
        return FleetFlow(requests_s=carried, in_flight=in_flight, capacity_requests_s=None)
    held = held_interval(carried, values, traffic, spreads)
    return FleetFlow(requests_s=carried, in_flight=held, capacity_requests_s=None)


def _capacity(one: Picked) -> float:
    """What the decode instances carry within the SLO as predicted, in the demand's unit."""
    return float(one.fleet.predicted[one.row] * one.fleet.instances[one.row])


def _notes(one: Picked, spare: int) -> tuple[str, ...]:
    found = []
    if one.group.disaggregated:
        prefill, decode = one.fleet.prefill_instances[one.row], one.fleet.instances[one.row]
        found.append(f"{decode:g} decode and {prefill:g} prefill instances")
    idle = int(one.fleet.idle_gpus[one.row])
    if idle:
        found.append(f"{idle} of the GPUs bought run no instance")
    if spare:
        found.append(f"{spare} spare server keeps the load when one fails")
    return tuple(found)


def _preferred_to(one: Picked, scene: Scene, contest: Contest) -> tuple[str, ...]:
    asked = scene.workload.serving is not Serving.AUTO
    return contest.notes(one.group, server=one.server, servers=one.servers, mode_asked=asked)
