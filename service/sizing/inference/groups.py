"""Candidates by number formats and serving mode: what one vectorised call evaluates together."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from service.sizing.architecture import ModelArchitecture
from service.sizing.calibration import Calibration
from service.sizing.inference.fleet import memory_verdict
from service.sizing.inference.formats import AskedFormats, Formats, formats_to_try, why_not
from service.sizing.inference.layout import InferenceLayouts, legal_layouts
from service.sizing.inference.load import ModelLoad, model_load
from service.sizing.inference.memory import InferenceMemory, inference_memory, reserves_of
from service.sizing.inference.serving import Bench, bench_of
from service.sizing.inference.software import Software
from service.sizing.inference.traffic import longest_tokens
from service.sizing.rank import Verdict
from service.sizing.result import Limit, Rejection
from service.sizing.table import BoolArray, HardwareTable, IntArray
from service.sizing.workload import InferenceWorkload, Serving


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Misfit:
    """Candidates that are refused before their speed is asked for."""

    server: IntArray
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """Candidates that share number formats and serving mode: the layouts that fit, on one server of each kind.

    `bench` has every legal layout and is shared by all questions about the model, `memory` is what this one asks of
    each; `fits` are the rows of those that hold it, `layouts` are they. `servers` are all that they stand for; `misfit`
    are the layouts that memory or an unknown figure refuses.
    """

    bench: Bench
    memory: InferenceMemory
    fits: IntArray
    layouts: InferenceLayouts
    formats: Formats
    servers: IntArray
    misfit: Misfit

    @property
    def load(self) -> ModelLoad:
        """The model in these formats."""
        return self.bench.load

    @property
    def disaggregated(self) -> bool:
        """Whether prefill has GPUs of its own."""
        return self.bench.disaggregated


def stands_for(kinds: IntArray, servers: IntArray, table: HardwareTable) -> tuple[IntArray, IntArray]:
    """(candidate, server) for every server and each candidate on its kind; `kinds` is the kind of each candidate."""
    at, candidate = np.nonzero(table.twin[servers][:, None] == kinds[None, :])
    return candidate, servers[at]


def needs_fabric(group: Group, table: HardwareTable) -> BoolArray:
    """Candidates whose servers talk to each other: an instance over several of them, or KV caches that cross."""
    crosses = group.layouts.gpus_instance > table.gpus_server[group.layouts.server]
    return np.asarray(crosses | group.disaggregated, dtype=np.bool_)


def servers_by_formats(
    workload: InferenceWorkload,
    architecture: ModelArchitecture,
    table: HardwareTable,
    rows: IntArray,
    *,
    software: Software,
    margin: float,
) -> tuple[Mapping[Formats, IntArray], tuple[Rejection, ...]]:
    """Servers by the formats they serve in.

    A GPU that lacks an asked format, or multiplies it more slowly than 16 bit, is rejected and never given another.
    """
    asked = AskedFormats(weight_precision=workload.weight_precision, kv_precision=workload.kv_precision)
    return _by_formats(asked, architecture, table, tuple(rows.tolist()), software=software, margin=margin)


@lru_cache(maxsize=256)
def _by_formats(
    asked: AskedFormats,
    architecture: ModelArchitecture,
    table: HardwareTable,
    rows: tuple[int, ...],
    *,
    software: Software,
    margin: float,
) -> tuple[Mapping[Formats, IntArray], tuple[Rejection, ...]]:
    """All questions about this model in these formats share it."""
    found: dict[Formats, list[int]] = {}
    rejected: list[Rejection] = []
    for row in rows:
        gpu, server = table.gpus[row], table.servers[row]
        tried = formats_to_try(asked, architecture, gpu, software=software, margin=margin)
        refused = [why for one in tried if (why := why_not(gpu, one.weight))]
        if refused:
            detail = "; ".join(refused)
            rejected.append(Rejection(server=server.id, limit=Limit.PRECISION, candidates=1, detail=detail))
            continue
        for one in tried:
            found.setdefault(one, []).append(row)
    # Widest first, in whatever order the servers stand.
    ordered = sorted(found, key=lambda one: one.width, reverse=True)
    return {one: _shared(found[one]) for one in ordered}, tuple(rejected)


def _shared(rows: list[int]) -> IntArray:
    """What nobody may change."""
    found = np.array(rows, dtype=np.int64)
    found.flags.writeable = False
    return found


@lru_cache(maxsize=32)
def _every_layout(
    load: ModelLoad, table: HardwareTable, kinds: tuple[int, ...], *, software: Software, calibration: Calibration
) -> tuple[Bench, Bench]:
    """Every legal layout on one server of each kind, of either mode: all questions about this model share them,
    whatever they ask.
    """
    layouts = legal_layouts(load, table, np.array(kinds, dtype=np.int64))
    alone = bench_of(load, layouts, software=software, table=table, calibration=calibration, disaggregated=False)
    return alone, alone.apart(alone, calibration)


def candidate_groups(
    workload: InferenceWorkload,
    architecture: ModelArchitecture,
    table: HardwareTable,
    formats: Mapping[Formats, IntArray],
    *,
    software: Software,
    calibration: Calibration,
) -> list[Group]:
    """One group per formats and mode; every legal layout on one server of each kind."""
    modes = {
        Serving.AGGREGATED: (False,),
        Serving.DISAGGREGATED: (True,),
        # Of equals the first is taken: aggregated is measured far more often.
        Serving.AUTO: (False, True),
    }[workload.serving]
    return [
        group
        for chosen, rows in formats.items()
        for group in _in_formats(
            workload,
            chosen,
            rows,
            modes,
            architecture=architecture,
            table=table,
            software=software,
            calibration=calibration,
        )
    ]


def _in_formats(
    workload: InferenceWorkload,
    chosen: Formats,
    rows: IntArray,
    modes: tuple[bool, ...],
    *,
    architecture: ModelArchitecture,
    table: HardwareTable,
    software: Software,
    calibration: Calibration,
) -> list[Group]:
    """One group per mode, disaggregated or not: what fits into memory, and what does not."""
    load = model_load(architecture, weight=chosen.weight, kv=chosen.kv)
    kinds = tuple(np.unique(table.twin[rows]).tolist())
    benches = _every_layout(load, table, kinds, software=software, calibration=calibration)
    layouts = benches[0].layouts
    memory = inference_memory(
        load,
        layouts,
        table=table,
        isl_tokens=workload.isl_tokens.mean,
        osl_tokens=workload.osl_tokens.mean,
        software=software,
        reserves=reserves_of(software, calibration),
    )
    verdict = memory_verdict(load, layouts, memory, longest_tokens=longest_tokens(workload), table=table)
    fits, refused = np.flatnonzero(verdict.feasible), np.flatnonzero(~verdict.feasible)
    misfit = Misfit(server=layouts.server[refused], verdict=verdict.take(refused))
    held = layouts.take(fits)
    return [
        Group(
            bench=benches[disaggregated],
            memory=memory,
            fits=fits,
            layouts=held,
            formats=chosen,
            servers=rows,
            misfit=misfit,
        )
        for disaggregated in modes
    ]
