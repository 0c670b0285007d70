"""A reader computes the answer again from the numbers of its working."""

import math
from itertools import pairwise

import pytest

from service.sizing.science.workload import SizeDistribution
from tests.sizing.science.jobs import EVERY, folding, md, sized

_MEAN = "mean_size_power_"


def _inputs(step):
    return {one.name: one.value for one in step.inputs}


def _unit_s(step):
    """Seconds per unit of one GPU, from what its line says alone."""
    found = _inputs(step)
    if "size" in found:
        points = sorted((float(n.removeprefix("seconds_at_")), s) for n, s in found.items() if n.startswith("seconds_"))
        return _between(found["size"], points)
    return sum(c * found.get(f"{_MEAN}{n[1]}", 1.0) for n, c in found.items() if n[0] == "c" and n.endswith("_s"))


def _between(size, points):
    if size <= points[0][0]:
        return points[0][1]
    for (low, low_s), (high, high_s) in pairwise(points):
        if size <= high:
            share = math.log(size / low) / math.log(high / low)
            return math.exp(math.log(low_s) + share * math.log(high_s / low_s))
    return points[-1][1]


@pytest.mark.parametrize("workload", EVERY, ids=lambda w: w.application)
def test_seconds_per_unit_are_recomputed_from_the_working(workload, catalog, weight):
    for option in sized(workload, catalog, weight).options:
        steps = {step.name: step for step in option.working}
        kind = "measured over predicted" if "measured over predicted on one GPU" in steps else "seconds per unit"
        if f"{kind} on one GPU" not in steps:
            continue
        result = steps[f"{kind} on one GPU"]
        for name, step in steps.items():
            inputs = _inputs(step)
            if "speed_up" in inputs:
                (origin,) = [s for n, s in inputs.items() if n.startswith("seconds_")]
                assert origin / inputs["speed_up"] == pytest.approx(step.value)
            elif "weight" in inputs:
                speed_up = math.prod(
                    inputs[f"{n}_ratio"] ** inputs[f"{n}_exponent"]
                    for n in ("fp32", "bandwidth", "bf16")
                    if f"{n}_ratio" in inputs
                )
                (origin,) = [s for n, s in inputs.items() if n.startswith("seconds_")]
                fixed = inputs["fixed_s"]
                assert fixed + (origin - fixed) / speed_up == pytest.approx(step.value)
            elif name.startswith(f"{kind} on ") and step is not result:
                assert _unit_s(step) == pytest.approx(step.value)
        told = _inputs(result)
        weights = {n.removeprefix("weight_"): w for n, w in told.items() if n.startswith("weight_")}
        if weights:
            logs = sum(w * math.log(told[f"seconds_by_{gpu}"]) for gpu, w in weights.items())
            assert math.exp(logs / sum(weights.values())) == pytest.approx(result.value)
        else:
            before = option.working[option.working.index(result) - 1]
            assert before.value == pytest.approx(result.value)


@pytest.mark.parametrize("workload", EVERY, ids=lambda w: w.application)
def test_seconds_of_an_item_are_recomputed_from_the_working(workload, catalog, weight):
    option = sized(workload, catalog, weight).options[0]
    item = next(step for step in option.working if step.name == "seconds of one item")
    found = _inputs(item)

    if "arithmetic_s" in found:
        computed = max(found["arithmetic_s"], found["traffic_s"]) + found["exchange_s"]
    elif "engine_s" in found:
        computed = math.prod(found.values())
    else:
        computed = found["units"] * found["seconds_unit"] * found["time_factor"]
        computed = computed / (found["gpus_instance"] * found["efficiency_fraction"]) + found["fixed_s"]
    assert computed == pytest.approx(item.value)


def test_a_roofline_is_recomputed_from_peak_bandwidth_and_efficiency(catalog, weight):
    workload = next(w for w in EVERY if w.application == "roofline")
    steps = {step.name: step for step in sized(workload, catalog, weight).options[0].working}
    work, traffic = steps["arithmetic of the run"], steps["memory traffic of the run"]
    a, t = _inputs(work), _inputs(traffic)

    tera, giga = 1e12, 1e9
    flop_s = a["gpus_instance"] * a["flop_efficiency_fraction"] * a["peak_tflops"] * tera
    bytes_s = t["gpus_instance"] * t["bandwidth_efficiency_fraction"] * t["bandwidth_gb_s"] * giga
    assert a["steps"] * a["step_flop"] / flop_s == pytest.approx(work.value)
    assert t["steps"] * t["step_bytes"] / bytes_s == pytest.approx(traffic.value)


def test_a_distribution_of_lengths_shows_the_bucket_of_each_slice(catalog, weight):
    option = sized(folding(tokens=SizeDistribution(mean=900.0, p95=2500.0)), catalog, weight).options[0]
    step = next(s for s in option.working if s.name == "mean size")
    slices = list(_inputs(step).values())

    assert len(slices) == 10
    assert set(slices) <= set(map(float, catalog.applications["alphafold-3"].folding.buckets_tokens))
    assert sum(slices) / 10 == pytest.approx(step.value)


def test_the_loss_of_several_gpus_has_its_own_line(catalog, weight):
    option = sized(md(ns_day=120.0, replicas=1, atoms=1_000_000, timestep_fs=4.0), catalog, weight)
    lines = [s for o in option.options for s in o.working if s.name == "parallel efficiency"]

    assert lines
    assert all("t0_s" in _inputs(line) and "reference_seconds_unit" in _inputs(line) for line in lines)
