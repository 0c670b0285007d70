"""Queues only add: no prompt is answered sooner because others come beside it."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from service.sizing.inference.disaggregated import fullest
from service.sizing.inference.layout import InferenceLayouts, legal_layouts
from service.sizing.inference.load import ModelLoad, model_load
from service.sizing.inference.memory import inference_memory, reserves_of
from service.sizing.inference.operate import batch_grid, batch_limit
from service.sizing.inference.requests import Traffic
from service.sizing.inference.serving import bench_of, serve
from service.sizing.inference.software import software_of
from service.sizing.inference.traffic import quantile_tokens
from service.sizing.precision import Precision
from service.sizing.table import HardwareTable, table_of
from service.sizing.workload import ServingEngine, TokenLength
from tests.facts import own_catalog

CATALOG = own_catalog()
TABLE = table_of(CATALOG.hardware)
MODELS = ("llama-3.1-70b", "deepseek-v3", "gpt-oss-120b", "qwen3-235b-a22b", "gemma-3-27b", "deepseek-v3.2")
# What sums of many terms are off by.
ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True)
class Case:
    """One fleet and what is asked of it; places among all legal layouts are shares from 0 to 1."""

    model: str
    isl: int
    osl: int
    longer: float
    hit: float
    closed: bool
    engine: ServingEngine | None
    decode: float
    prefill: float | None
    ratio: float

    @property
    def traffic(self) -> Traffic:
        length = TokenLength(mean=float(self.isl), p95=self.longer * self.isl)
        return Traffic(
            isl_tokens=length.mean,
            osl_tokens=float(self.osl),
            isl_tail_tokens=quantile_tokens(length, 0.95),
            hit_fraction=self.hit,
            percentile_fraction=0.95,
            speculative=None,
            closed_loop=self.closed,
        )


CASES = st.builds(
    Case,
    model=st.sampled_from(MODELS),
    isl=st.integers(50, 20_000),
    osl=st.integers(5, 2_000),
    longer=st.floats(1.0, 3.5),
    hit=st.sampled_from((0.0, 0.6)),
    closed=st.booleans(),
    engine=st.sampled_from((None, *ServingEngine)),
    decode=st.floats(0.0, 1.0),
    prefill=st.one_of(st.none(), st.floats(0.0, 1.0)),
    ratio=st.floats(0.1, 10.0),
)


@lru_cache(maxsize=len(MODELS))
def layouts_of(model: str) -> tuple[ModelLoad, HardwareTable, InferenceLayouts]:
    """Every legal layout on servers of which the bandwidth is known, whether its weights fit or not."""
    load = model_load(CATALOG.models[model].architecture, weight=Precision.FP8, kv=Precision.FP8)
    every = legal_layouts(load, TABLE, np.arange(len(TABLE.servers)))
    return load, TABLE, every.take(np.flatnonzero(~np.isnan(TABLE.bandwidth_bytes_s[every.server])))


@settings(max_examples=300, deadline=None)
@given(case=CASES)
def test_times_to_first_token_never_fall_as_the_load_rises(case: Case) -> None:
    load, table, every = layouts_of(case.model)
    software = software_of(case.engine, None, CATALOG.calibration)
    row = every.take(np.array([int(case.decode * (every.tp.size - 1))]))
    prefill = None
    if case.prefill is not None:
        same = every.take(np.flatnonzero(every.server == row.server[0]))
        prefill = same.take(np.array([int(case.prefill * (same.tp.size - 1))]))
    bench = bench_of(
        load,
        row,
        software=software,
        table=table,
        calibration=CATALOG.calibration,
        disaggregated=prefill is not None,
        prefill_layouts=prefill,
    )
    memory = inference_memory(
        load,
        row,
        table=table,
        isl_tokens=float(case.isl),
        osl_tokens=float(case.osl),
        software=software,
        reserves=reserves_of(software, CATALOG.calibration),
    )
    batches = batch_grid(batch_limit(memory, row), points=80, smallest=0.02)
    ratio = None if prefill is None else case.ratio
    point = serve(bench, batch=batches, traffic=case.traffic, prefill_ratio=ratio)
    # Nobody decodes beyond what the prefill pool brings.
    reached = point.asked_fraction[0] <= (float(fullest(case.traffic.stream)) if ratio else np.inf)
    for times in (point.ttft_s, point.ttft_tail_s):
        seen = times[0][reached]
        assert np.all(seen[1:] >= seen[:-1] * (1.0 - ROUNDING))
