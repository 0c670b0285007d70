"""Passes of a bench: what is settled or remembered for many of them is what each of them has alone."""

from dataclasses import fields

import numpy as np
import pytest

from service.sizing.inference.layout import InferenceLayouts, legal_layouts
from service.sizing.inference.lines import Lengths
from service.sizing.inference.load import model_load
from service.sizing.inference.machine import Machine, machine_of
from service.sizing.inference.overheads import overheads_of
from service.sizing.inference.software import software_of
from service.sizing.inference.step import Pass, StepParts, paired_parts, step_parts
from service.sizing.precision import Precision
from service.sizing.table import table_of
from service.sizing.workload import ServingEngine

LENGTHS = Lengths(query_tokens=1.0, context_tokens=1500.0, prompt_tokens=900.0, cached_tokens=100.0)


@pytest.fixture(params=["llama-3.1-8b", "deepseek-v3", "gpt-oss-120b", "deepseek-v3.2", "deepseek-v4-flash"])
def subject(request, catalog):
    """A model in FP8, and all its layouts on two servers."""
    table = table_of(catalog.hardware)
    load = model_load(catalog.models[request.param].architecture, weight=Precision.FP8, kv=Precision.FP8)
    known = np.flatnonzero(np.isfinite(table.bandwidth_bytes_s))[:2]
    layouts = legal_layouts(load, table, known)
    software = software_of(None, None, catalog.calibration)
    return load, machine_of(load, layouts, software=software, table=table, calibration=catalog.calibration)


def same(one: StepParts, other: StepParts, shape: tuple[int, int]) -> None:
    for field in fields(StepParts):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if field.name == "least":
            assert mine.total.tolist() == theirs.total.tolist()
        else:
            assert np.broadcast_to(mine, shape).tolist() == np.broadcast_to(theirs, shape).tolist(), field.name


def test_two_passes_side_by_side_are_what_each_is_alone(subject) -> None:
    load, machine = subject
    shape = (machine.tp.shape[0], 5)
    sequences = np.broadcast_to(np.array([[0.05, 1.0, 7.0, 64.0, 256.0]]), shape)
    prompts = np.broadcast_to(np.array([[900.0, 900.0, 1800.0, 4096.0, 8192.0]]), shape)
    alone, mixed = paired_parts(load, machine, Pass(decode=sequences, prefill_tokens=prompts, lengths=LENGTHS))
    same(alone, step_parts(load, machine, Pass(decode=sequences, lengths=LENGTHS)), shape)
    same(mixed, step_parts(load, machine, Pass(decode=sequences, prefill_tokens=prompts, lengths=LENGTHS)), shape)


def test_where_nothing_decodes_and_where_no_prompt_is(subject) -> None:
    load, machine = subject
    shape = (machine.tp.shape[0], 3)
    some = np.broadcast_to(np.array([[0.0, 4.0, 0.0]]), shape)
    prompts = np.broadcast_to(np.array([[900.0, 0.0, 900.0]]), shape)
    both = step_parts(load, machine, Pass(decode=some, prefill_tokens=prompts, lengths=LENGTHS))
    assert not both.generation[:, [0, 2]].any()
    assert (both.generation[:, 1] > 0.0).all()
    assert not both.context[:, 1].any()
    assert (both.context[:, [0, 2]] > 0.0).all()
    column = step_parts(load, machine, Pass(decode=np.full((shape[0], 1), 4.0), lengths=LENGTHS))
    launches = np.broadcast_to(both.launches, shape)[:, 1]
    assert launches.tolist() == np.broadcast_to(column.launches, (shape[0], 1))[:, 0].tolist()


def test_rows_of_a_machine_are_the_same_object_for_the_same_rows(subject) -> None:
    _, machine = subject
    rows = np.array([1, 0], dtype=np.int64)
    taken: Machine = machine.take(rows)
    assert machine.take(rows.copy()) is taken
    assert machine.take(rows[:1]) is not taken
    assert taken.stream_bytes_s.tolist() == machine.stream_bytes_s[rows].tolist()


def test_narrow_products_scale_what_goes_into_them_and_launch_as_wide_ones_do(catalog) -> None:
    """Kernels in 8 bit are measured with the one that scales; engines do most of that with what comes before."""
    table = table_of(catalog.hardware)
    architecture = catalog.models["llama-3.1-70b"].architecture
    server = np.array([next(row for row, gpu in enumerate(table.gpus) if gpu.id == "h100-sxm")])
    one = np.array([1])
    layouts = InferenceLayouts(server=server, tp=np.array([8]), pp=one, attention_dp=one, ep=one)
    software = software_of(ServingEngine.TENSORRT_LLM, None, catalog.calibration)

    def taken(weight: Precision, tokens: float) -> StepParts:
        load = model_load(architecture, weight=weight, kv=Precision.FP8)
        machine = machine_of(load, layouts, software=software, table=table, calibration=catalog.calibration)
        return step_parts(load, machine, Pass(decode=0.0, prefill_tokens=tokens, lengths=LENGTHS))

    wide, narrow = taken(Precision.BF16, 900.0), taken(Precision.FP8, 900.0)
    assert narrow.launches == pytest.approx(wide.launches)
    assert (narrow.inputs > 3.0 * wide.inputs).all()
    assert (narrow.products < wide.products).all()
    overheads = overheads_of(
        model_load(architecture, weight=Precision.FP8, kv=Precision.FP8), software, catalog.calibration
    )
    assert float(np.max(overheads.inputs)) < 0.5
    assert (taken(Precision.FP8, 1800.0).inputs > narrow.inputs).all()


def test_gpus_without_a_switch_reduce_no_better_than_a_ring(catalog) -> None:
    """H200 NVL cards take the kernels of H200 behind NVSwitch, which sums on the way."""
    table = table_of(catalog.hardware)
    load = model_load(catalog.models["llama-3.1-70b"].architecture, weight=Precision.FP8, kv=Precision.FP8)
    layouts = legal_layouts(load, table, np.flatnonzero(np.isfinite(table.bandwidth_bytes_s)))
    layouts = layouts.take(np.flatnonzero(layouts.tp <= table.scale_up_gpus[layouts.server]))
    software = software_of(None, None, catalog.calibration)
    machine = machine_of(load, layouts, software=software, table=table, calibration=catalog.calibration)
    spread, switched = machine.all_reduce.spread[:, 0], table.switched[layouts.server]
    cards = np.array([table.gpus[row].id == "h200-nvl" for row in layouts.server])
    assert cards.any()
    assert not switched[cards].any()
    assert (spread[~switched] >= 1.0).all()
    assert (spread[switched] < 1.0).any()
