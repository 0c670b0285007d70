"""Laws of the science physics as properties."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.sizing.science.describe import describe
from service.sizing.science.efficiency import scaling_efficiency
from service.sizing.science.folding import (
    WIDEST_P95_MEANS,
    bucket_tokens,
    floor_bucket,
    lengths,
    longest_tokens,
    setting_factor,
)
from service.sizing.science.performance import Rows, items_day, job_rates, performance
from service.sizing.science.workload import SizeDistribution
from service.sizing.table import table_of
from tests.sizing.science.jobs import EVERY, estimated, folding, md, median, roofline, sized

RELAXED = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("workload", EVERY, ids=lambda w: w.application)
def test_a_scalar_is_a_row_of_the_array(workload, catalog):
    table = table_of(catalog.hardware)
    job = describe(workload, catalog.applications[workload.application], catalog.calibration)
    rates = job_rates(job, table, hardware=catalog.hardware, calibration=catalog.calibration)
    everyone = np.arange(len(table.servers))
    together = performance(job, _rows(everyone), table=table, rates=rates, calibration=catalog.calibration)
    for row in everyone:
        alone = performance(
            job, _rows(everyone[row : row + 1]), table=table, rates=rates, calibration=catalog.calibration
        )
        for name in ("item_s", "memory_bytes", "down", "up"):
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(together, name)[row])


def _rows(server):
    ones = np.ones(server.size)
    return Rows(server=server, gpus_instance=ones, instances=ones)


@RELAXED
@given(base=st.floats(10.0, 1e5), more=st.floats(1.0, 50.0))
def test_more_targets_never_need_fewer_gpus(base, more, catalog, weight):
    def gpus(targets_day):
        result = sized(folding(targets_day=targets_day), catalog, weight, allowed_gpus=("b200-sxm",))
        return {o.server: o.gpus for o in result.options}

    few, many = gpus(base), gpus(base * more)
    assert few
    assert many.keys() <= few.keys()
    assert all(many[server] >= few[server] for server in many)


@RELAXED
@given(days=st.floats(0.5, 300.0), more=st.floats(1.0, 20.0))
def test_a_later_deadline_never_needs_more_servers(days, more, catalog, weight):
    def servers(deadline_days):
        target = replace(roofline().target, deadline_days=deadline_days)
        result = sized(roofline(target=target), catalog, weight)
        return {o.server: o.servers for o in result.options}

    soon, late = servers(days), servers(days * more)
    assert soon
    assert soon.keys() <= late.keys()
    assert all(late[server] <= soon[server] for server in soon)


@RELAXED
@given(confidence=st.floats(0.5, 0.98))
def test_more_confidence_never_needs_fewer_gpus_and_is_reached(confidence, catalog, weight):
    easy = sized(folding(), catalog, weight, min_confidence_fraction=0.5, allowed_gpus=("b200-sxm",)).options
    sure = sized(folding(), catalog, weight, min_confidence_fraction=confidence, allowed_gpus=("b200-sxm",)).options

    assert min(o.gpus for o in sure) >= min(o.gpus for o in easy)
    assert all(o.confidence_fraction >= confidence - 1e-6 for o in sure)


@RELAXED
@given(tokens=st.floats(16.0, 5000.0), longer=st.floats(1.0, 3.0))
def test_longer_targets_take_longer_and_more_memory(tokens, longer, catalog):
    short = estimated(folding(tokens=SizeDistribution(mean=tokens)), catalog, gpu="h100-sxm")
    long = estimated(folding(tokens=SizeDistribution(mean=tokens * longer)), catalog, gpu="h100-sxm")

    assert median(long, "elapsed_s") >= median(short, "elapsed_s")
    assert long.memory_used_gb_gpu >= short.memory_used_gb_gpu


@RELAXED
@given(atoms=st.integers(1, 10**9), timestep=st.floats(0.5, 5.0))
def test_ns_per_day_follow_the_curve(atoms, timestep, catalog):
    curve = next(c for c in catalog.applications["openmm"].curves if c.gpu == "b200-sxm")
    t0, c = curve.coefficients_s
    expected = 86_400.0 * timestep * 1e-6 / (t0 + c * atoms)

    estimate = estimated(md(atoms=atoms, timestep_fs=timestep), catalog, gpu="b200-sxm")
    assert median(estimate, "ns_day_replica") == pytest.approx(expected, rel=1e-9)


@RELAXED
@given(mean=st.floats(10.0, 5000.0), ratio=st.floats(1.0, WIDEST_P95_MEANS))
def test_a_distribution_of_lengths_keeps_its_mean(mean, ratio):
    spread = lengths(SizeDistribution(mean=mean, p95=mean * ratio))

    assert np.mean(spread) == pytest.approx(mean)
    assert list(spread) == sorted(spread)


def test_a_wide_distribution_costs_more_than_its_mean(catalog):
    same = estimated(folding(tokens=SizeDistribution(mean=900.0)), catalog, gpu="h100-sxm")
    wide = estimated(folding(tokens=SizeDistribution(mean=900.0, p95=2700.0)), catalog, gpu="h100-sxm")

    assert median(wide, "elapsed_s") > median(same, "elapsed_s")


@RELAXED
@given(tokens=st.floats(1.0, 20000.0))
def test_buckets_round_up_and_their_floor_rounds_down(tokens, catalog):
    facts = catalog.applications["alphafold-3"].folding

    assert bucket_tokens(tokens, facts) >= tokens
    assert floor_bucket(tokens, facts) <= tokens
    assert bucket_tokens(floor_bucket(tokens, facts) or 1.0, facts) <= bucket_tokens(tokens, facts)


def test_published_settings_have_the_factor_one(catalog):
    facts = catalog.applications["alphafold-3"].folding

    assert setting_factor(recycles=10, samples=5, facts=facts, diffusion_fraction=0.25) == 1.0
    assert setting_factor(recycles=3, samples=5, facts=facts, diffusion_fraction=0.25) < 0.6
    assert setting_factor(recycles=10, samples=25, facts=facts, diffusion_fraction=0.25) == pytest.approx(2.0)


def test_the_longest_target_on_80_gb_is_the_published_one(catalog):
    law = catalog.applications["alphafold-3"].memory

    assert float(longest_tokens(80e9, law)) == pytest.approx(5120, abs=1)


def test_efficiency_is_one_on_one_gpu_and_unknown_beyond_what_was_measured(catalog):
    points = catalog.applications["openmm"].scaling
    found = scaling_efficiency(np.array([1.0, 2.0, 4.0, 8.0]), points)

    np.testing.assert_allclose(found[:3], [1.0, 0.68, 0.46])
    assert np.isnan(found[3])


def test_items_per_day_is_the_formula():
    assert float(items_day(60.0, instances=8.0, utilisation_fraction=0.8)) == pytest.approx(8 * 86_400 * 0.8 / 60)
