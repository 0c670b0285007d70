"""Settling: what a deployment leaves open is chosen, and the load is solved for its operating point."""

from dataclasses import dataclass, replace

import numpy as np

from service.errors import FieldError, InvalidRequestError
from service.sizing.architecture import ModelArchitecture
from service.sizing.calibration import Calibration
from service.sizing.hardware import Hardware
from service.sizing.inference.formats import Formats, choose_formats, has_format
from service.sizing.inference.layout import InferenceLayouts, pool_plan
from service.sizing.inference.load import ModelLoad, model_load
from service.sizing.inference.memory import InferenceMemory, inference_memory, reserves_of
from service.sizing.inference.operate import batch_limit, largest_within, most_decoding, operate, solve_batch
from service.sizing.inference.pools import Pools, pools_of, split_assumed
from service.sizing.inference.predict import (
    PointValues,
    points_values,
)
from service.sizing.inference.queue import burst_values, in_step, with_waiting
from service.sizing.inference.requests import Traffic
from service.sizing.inference.serving import Bench, bench_of
from service.sizing.inference.software import Software, software_of
from service.sizing.inference.stated import (
    Placement,
    copies_of,
    has_stated_layout,
    open_layouts,
    placed,
    require_known,
    require_two,
    stated_layout,
)
from service.sizing.inference.traffic import traffic_of
from service.sizing.place import placed_server
from service.sizing.result import Assumed
from service.sizing.table import FloatArray, HardwareTable, IntArray, build_table
from service.sizing.workload import Arrival, Deployment, InferenceWorkload, Load, LoadKind, Serving


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Everything that stays the same while the load of one deployment is solved."""

    bench: Bench
    memory: InferenceMemory
    traffic: Traffic
    table: HardwareTable
    calibration: Calibration
    # Prefill instances to a decode instance where the pools are stated.
    prefill_ratio: float | None

    def point(self, batch: float) -> PointValues:
        """The steady state of the single candidate at this decode batch."""
        found = operate(self.bench, batch=np.array([batch]), traffic=self.traffic, prefill_ratio=self.prefill_ratio)
        return points_values(found)[0]

    @property
    def limit(self) -> FloatArray:
        """Most sequences that an instance decodes at once."""
        return batch_limit(self.memory, self.bench.layouts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What the engine chose for the caller."""

    server: str
    formats: Formats
    native: bool
    asked: Load
    placement: Placement
    pools: tuple[Assumed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A deployment with everything chosen that it left open: ready to be evaluated at any batch."""

    setting: Setting
    notes: Notes


def settle(
    workload: InferenceWorkload,
    deployment: Deployment,
    *,
    hardware: Hardware,
    architecture: ModelArchitecture,
    calibration: Calibration,
) -> Settled:
    """Server, formats, layout, copies and pools of a deployment. Raises as `estimate_inference` does."""
    server, gpu, chosen_server = placed_server(deployment, hardware)
    table = build_table((server,), (gpu,))
    engine = deployment.engine or workload.engine
    software = software_of(engine, deployment.software_month, calibration, compiled=deployment.compiled)
    formats = choose_formats(workload, architecture, gpu, software=software)
    load = model_load(architecture, weight=formats.weight, kv=formats.kv)
    require_known(load, table, gpu)
    asked = deployment.load or Load()
    site = _Site(
        load=load,
        table=table,
        software=software,
        calibration=calibration,
        traffic=replace(traffic_of(workload), closed_loop=asked.kind is LoadKind.CONCURRENCY, alike=asked.alike),
    )
    split: tuple[Assumed, ...] = ()
    pools = pools_of(load, deployment, table) if deployment.mode is Serving.DISAGGREGATED else None
    if pools is None:
        placement = _placement(site, deployment, workload=workload)
        setting = site.setting(placement.layouts, disaggregated=deployment.mode is Serving.DISAGGREGATED)
    else:
        placement, setting = _pooled(site, pools, deployment, workload, asked)
        prefill = 0 if placement.prefill is None else placement.prefill.instances
        split = split_assumed(pools.stated, decode=placement.replicas, prefill=prefill)
    notes = Notes(
        server=chosen_server,
        formats=formats,
        native=has_format(gpu, formats.weight),
        asked=asked,
        placement=placement,
        pools=() if pools is None else (*pools.assumed, *split),
    )
    return Settled(setting=setting, notes=notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    """A model in its formats on one server, the software that runs it, and the traffic: all but the layout."""

    load: ModelLoad
    table: HardwareTable
    software: Software
    calibration: Calibration
    traffic: Traffic

    def memory(self, layouts: InferenceLayouts) -> InferenceMemory:
        """Memory of these layouts at the traffic's mean lengths."""
        return inference_memory(
            self.load,
            layouts,
            table=self.table,
            isl_tokens=self.traffic.isl_tokens,
            osl_tokens=self.traffic.osl_tokens,
            software=self.software,
            reserves=reserves_of(self.software, self.calibration),
        )

    def bench(self, layouts: InferenceLayouts, *, disaggregated: bool, prefill: InferenceLayouts | None) -> Bench:
        """The bench of these layouts."""
        return bench_of(
            self.load,
            layouts,
            software=self.software,
            table=self.table,
            calibration=self.calibration,
            disaggregated=disaggregated,
            prefill_layouts=prefill,
        )

    def setting(
        self,
        layouts: InferenceLayouts,
        *,
        disaggregated: bool,
        prefill: InferenceLayouts | None = None,
        ratio: float | None = None,
    ) -> Setting:
        """The one layout that is evaluated."""
        return Setting(
            bench=self.bench(layouts, disaggregated=disaggregated, prefill=prefill),
            memory=self.memory(layouts),
            traffic=self.traffic,
            table=self.table,
            calibration=self.calibration,
            prefill_ratio=ratio,
        )


def _pooled(
    site: _Site, pools: Pools, deployment: Deployment, workload: InferenceWorkload, asked: Load
) -> tuple[Placement, Setting]:
    """Of the splits that the deployment may mean the one that carries most at the load; the first of equals."""
    rows, decoding, prefilling = np.array(pools.splits, dtype=np.int64).T
    best = int(np.argmax(_carried(site, pools, workload, asked))) if rows.size > 1 else 0
    layouts = pools.decode.take(rows[best : best + 1])
    decode, prefill = int(decoding[best]), int(prefilling[best])
    setting = site.setting(layouts, disaggregated=True, prefill=pools.prefill, ratio=prefill / decode)
    used = decode * int(layouts.gpus_instance[0]) + prefill * int(pools.prefill.gpus_instance[0])
    placement = Placement(
        layouts=layouts,
        replicas=decode,
        ep=int(layouts.ep[0]),
        idle_gpus=max(0, deployment.gpus - used),
        prefill=pool_plan(pools.prefill, 0, instances=prefill),
    )
    return placement, setting


def _carried(site: _Site, pools: Pools, workload: InferenceWorkload, asked: Load) -> FloatArray:
    """Requests/s that each split carries at the load; none where a layout has no room for a sequence."""
    rows, decoding, prefilling = np.array(pools.splits, dtype=np.int64).T
    layouts = pools.decode.take(rows)
    bench = site.bench(layouts, disaggregated=True, prefill=pools.prefill.take(np.zeros_like(rows)))
    memory, traffic, ratio = site.memory(layouts), site.traffic, (prefilling / decoding)[:, None]
    limit = batch_limit(memory, layouts)
    if asked.kind in {LoadKind.SATURATED, LoadKind.BEST_PUBLISHED}:
        batch = most_decoding(bench, limit=limit, traffic=traffic, prefill_ratio=ratio)
    elif asked.kind is LoadKind.HIGHEST_RATE_WITHIN_SLO:
        batch = largest_within(bench, workload, limit=limit, traffic=traffic, prefill_ratio=ratio)
    else:
        by_rate = asked.kind is LoadKind.RATE
        wanted = ((asked.requests_s or 0.0) if by_rate else float(asked.value or 1)) / decoding
        batch = solve_batch(bench, wanted=wanted, by_rate=by_rate, limit=limit, traffic=traffic, prefill_ratio=ratio)
    carried = operate(bench, batch=batch, traffic=traffic, prefill_ratio=ratio).requests_s[:, 0] * decoding
    return np.where(memory.fixed + memory.sequence <= memory.usable, carried, 0.0)


def _placement(site: _Site, deployment: Deployment, *, workload: InferenceWorkload) -> Placement:
    """The stated layout, or of those that fit the one with the highest throughput over all copies at the load."""
    load = site.load
    if has_stated_layout(deployment):
        stated = placed(stated_layout(load, deployment), deployment)
        if deployment.mode is Serving.DISAGGREGATED:
            require_two(stated, deployment)
        return stated
    legal = open_layouts(load, deployment, site.table)
    if not legal.tp.size:
        raise InvalidRequestError(
            f"no layout of {load.architecture.id} takes {deployment.gpus} GPUs in so many copies",
            errors=(FieldError(field="deployment.gpus", message="is too few for the copies asked for"),),
        )
    memory = site.memory(legal)
    bench = site.bench(legal, disaggregated=False, prefill=None)
    copies = copies_of(legal, deployment)
    limit = batch_limit(memory, legal)
    asked = deployment.load or Load()
    batch = _compared_batch(bench, asked, limit=limit, copies=copies, traffic=site.traffic, workload=workload)
    point = operate(bench, batch=batch, traffic=site.traffic)
    # Where nothing fits the layout that comes nearest to fitting is shown.
    fits = memory.fixed + memory.sequence <= memory.usable
    total = point.requests_s[:, 0] * copies
    best = int(np.argmax(np.where(fits, total, 0.0))) if fits.any() else int(np.argmin(memory.fixed))
    return placed(legal.take(np.array([best])), deployment)


def _compared_batch(
    bench: Bench,
    asked: Load,
    *,
    limit: FloatArray,
    copies: IntArray,
    traffic: Traffic,
    workload: InferenceWorkload,
) -> FloatArray:
    """The batch at which layouts are compared: what so many clients make, what carries most within the SLO,
    else the largest.

    Few clients are served soonest by all GPUs together, many by ranks that each have some of their own.
    """
    if asked.kind is LoadKind.HIGHEST_RATE_WITHIN_SLO:
        return largest_within(bench, workload, limit=limit, traffic=traffic, prefill_ratio=None)
    if asked.kind is not LoadKind.CONCURRENCY:
        return limit
    return solve_batch(bench, wanted=float(asked.value or 1) / copies, by_rate=False, limit=limit, traffic=traffic)


def operating_point(
    setting: Setting, workload: InferenceWorkload, asked: Load, replicas: int
) -> tuple[PointValues, float]:
    """The steady state that the load leads to, and the requests/s that the fleet then carries."""
    limit = setting.limit
    if asked.kind in {LoadKind.SATURATED, LoadKind.BEST_PUBLISHED}:
        within_pools = most_decoding(
            setting.bench, limit=limit, traffic=setting.traffic, prefill_ratio=setting.prefill_ratio
        )
        batch = float(within_pools[0])
    elif asked.kind is LoadKind.HIGHEST_RATE_WITHIN_SLO:
        ratio = setting.prefill_ratio
        batch = float(
            largest_within(setting.bench, workload, limit=limit, traffic=setting.traffic, prefill_ratio=ratio)[0]
        )
    else:
        by_rate = asked.kind is LoadKind.RATE
        wanted = (asked.requests_s or 0.0) if by_rate else float(asked.value or 1)
        batch = float(
            solve_batch(
                setting.bench,
                wanted=np.array([wanted / replicas]),
                by_rate=by_rate,
                limit=limit,
                traffic=setting.traffic,
                pooled=setting.prefill_ratio is None,
                prefill_ratio=setting.prefill_ratio,
            )[0]
        )
    values = setting.point(batch)
    decoding = replicas if setting.prefill_ratio is not None else replicas / (1.0 + values.prefill_instances)
    if asked.kind is LoadKind.CONCURRENCY:
        clients = float(asked.value or 1) / decoding
        if asked.arrival is Arrival.BURST:
            values = _burst(setting, clients)
        else:
            values = with_waiting(values, clients, medians=setting.bench.medians)
    return values, values.requests_s * decoding


def _burst(setting: Setting, clients: float) -> PointValues:
    """Everything sent at once: as many decode together as there are places."""
    steady = setting.point(min(clients, float(setting.limit[0])))
    together = replace(setting, bench=in_step(setting.bench)).point(steady.batch)
    return burst_values(steady, together, clients, traffic=setting.traffic, medians=setting.bench.medians)
