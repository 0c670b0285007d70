"""What several GPUs, a full memory and padding do to a scientific job, against the runs that showed it."""

import numpy as np
import pytest

from service.errors import UnsupportedWorkloadError
from service.sizing.interval import Basis
from service.sizing.result import Limit
from service.sizing.science.efficiency import serial_efficiency, sharding_efficiency
from service.sizing.science.workload import (
    DeadlineTarget,
    LatticeWorkload,
    RecipeTrainingWorkload,
    SequenceTrainingWorkload,
    SizeDistribution,
    WeatherWorkload,
)
from tests.sizing.science.jobs import estimated, folding, md, median, roofline, sized


@pytest.mark.parametrize(("tokens", "gpu_seconds"), [(1024.0, 352.0), (3072.0, 2016.0), (5120.0, 5552.0)])
def test_one_target_over_sixteen_gpus_costs_what_was_measured(tokens, gpu_seconds, catalog):
    asked = folding(tokens=SizeDistribution(mean=tokens), targets_day=None)
    found = estimated(asked, catalog, gpu="a100-40gb", gpus=16, replicas=1)

    # alphafold3 docs/performance.md, 16 A100 40 GB
    assert median(found, "gpu_seconds_item") == pytest.approx(gpu_seconds, rel=0.12)
    assert found.fits


def test_sharding_beyond_what_was_measured_is_refused(catalog):
    with pytest.raises(UnsupportedWorkloadError, match="at most on 16"):
        estimated(folding(targets_day=None), catalog, gpu="a100-40gb", gpus=32, replicas=1)


def test_long_targets_shard_better(catalog):
    law = catalog.applications["alphafold-3"].sharding
    short, long = (float(sharding_efficiency(16, law, size_tokens=n)) for n in (1024.0, 5120.0))

    assert float(sharding_efficiency(1, law, size_tokens=1024.0)) == 1.0
    assert 0.1 < short < long < 1.0
    assert np.isnan(float(sharding_efficiency(17, law, size_tokens=1024.0)))


@pytest.mark.parametrize(("residues", "seconds"), [(4000.0, 5660.0), (4500.0, 12475.0), (5000.0, 18824.0)])
def test_alphafold_2_spills_into_host_memory_as_measured(residues, seconds, catalog):
    asked = folding(application="alphafold-2", tokens=SizeDistribution(mean=residues), targets_day=None)
    found = estimated(asked, catalog, gpu="a100-80gb")

    # One target is five models; the table times one.
    assert median(found, "elapsed_s") / 5 == pytest.approx(seconds, rel=0.25)
    assert found.fits
    assert any("spills" in one.why for one in found.assumed)


def test_a_sizing_does_not_spill(catalog, weight):
    asked = folding(application="alphafold-2", tokens=SizeDistribution(mean=9000.0), targets_day=1.0)
    assert not sized(asked, catalog, weight).feasible


@pytest.mark.parametrize(
    ("gpu", "gpus", "minutes"), [("h100-sxm", 2080, 7.5), ("h100-sxm", 128, 28.5), ("a100-80gb", 896, 14.7)]
)
def test_openfold_trains_in_the_time_that_was_measured(gpu, gpus, minutes, catalog):
    found = estimated(RecipeTrainingWorkload(application="openfold-training"), catalog, gpu=gpu, gpus=gpus)

    # MLPerf HPC v3.0, trimmed means
    assert median(found, "elapsed_s") / 60 == pytest.approx(minutes, rel=0.06)


def test_more_gpus_train_a_recipe_faster_and_never_more_than_in_proportion(catalog):
    law = catalog.applications["openfold-training"].serial
    counts = np.array([1.0, 8.0, 128.0, 2080.0])
    speed = counts * serial_efficiency(counts, law)

    assert np.all(np.diff(speed) > 0)
    assert np.all(speed <= counts)


def test_a_deadline_of_a_recipe_is_met_by_enough_servers(catalog, weight):
    def asked(days):
        return RecipeTrainingWorkload(application="openfold-training", target=DeadlineTarget(deadline_days=days))

    slow, fast = (sized(asked(days), catalog, weight).options[0] for days in (1.0, 0.1))
    assert slow.gpus < fast.gpus
    assert not sized(asked(0.001), catalog, weight).feasible


def test_what_lattices_exchange_goes_no_faster_than_the_link_to_the_host(catalog):
    """One B300 is as fast as one B200 in FP32; its side of the link is twice as fast, that of its host is not."""
    lattice = LatticeWorkload(application="fluidx3d", cells=1e9, steps=1e5)

    def rates(gpu):
        return [median(estimated(lattice, catalog, gpu=gpu, gpus=n), "mlups") for n in (1, 4)]

    (older, four_older), (newer, four_newer) = (rates(gpu) for gpu in ("b200-sxm", "b300-sxm"))
    assert newer == pytest.approx(older, rel=0.05)
    assert four_newer / newer == pytest.approx(four_older / older, rel=0.05)


def test_padding_takes_as_much_longer_as_was_fitted(catalog):
    def asked(*, packed):
        return SequenceTrainingWorkload(application="esm-2", parameters=15e9, tokens=1e12, packed=packed)

    packed, padded = (estimated(asked(packed=p), catalog, gpu="b200-sxm", gpus=8) for p in (True, False))
    factor = catalog.calibration.coefficient("science.padding_time_factor")

    assert 2.0 < factor < 4.0
    assert median(padded, "elapsed_s") == pytest.approx(median(packed, "elapsed_s") * factor)
    # What is told is what is counted.
    assert any(f"costs {factor:.2g} times" in note for note in catalog.applications["esm-2"].notes)
    told = [one.value for one in padded.assumed if one.field == "science.padding_time_factor"]
    assert told == [f"{factor:.4g} times"]
    assert not any(one.field == "science.padding_time_factor" for one in packed.assumed)


def test_a_release_has_its_own_time(catalog):
    def asked(release):
        return WeatherWorkload(application="corrdiff", steps=18.0, release=release)

    old, new, plain = (estimated(asked(r), catalog, gpu="h100-sxm") for r in ("1.0.0", "1.1.0", None))
    assert median(old, "elapsed_s") > 3 * median(new, "elapsed_s")
    assert median(plain, "elapsed_s") == median(new, "elapsed_s")


def test_a_method_that_a_gpu_ran_itself_needs_no_factor(catalog):
    # OpenMM benchmark page: AMOEBA on DHFR, 43.87 ns a day on B200.
    asked = md(atoms=23558, method="amoeba", ns_day=None, replicas=1)
    measured = estimated(asked, catalog, gpu="b200-sxm")
    elsewhere = estimated(asked, catalog, gpu="gh200")

    assert median(measured, "ns_day_replica") == pytest.approx(43.87, rel=0.02)
    ours, theirs = (next(m.interval for m in e.metrics if m.name == "ns_day") for e in (measured, elsewhere))
    assert theirs.p90 / theirs.p10 > ours.p90 / ours.p10


def test_the_longest_target_is_a_metric(catalog):
    found = estimated(folding(targets_day=None), catalog, gpu="h100-sxm")
    metric = next(m.interval for m in found.metrics if m.name == "max_tokens")

    # 80 GB hold 5,120 tokens.
    assert metric.p50 == 5120
    assert metric.p10 < 5120 < metric.p90


def test_days_and_seconds_differ_by_a_named_share(catalog, weight):
    option = sized(roofline(), catalog, weight).options[0]
    metrics = {m.name: m.interval.p50 for m in option.metrics}
    step = next(s for s in option.working if s.name == "elapsed_days")
    inputs = {q.name: q.value for q in step.inputs}

    assert metrics["elapsed_days"] == pytest.approx(metrics["elapsed_s"] / 86_400 / inputs["utilisation_fraction"])
    assert step.value == pytest.approx(metrics["elapsed_days"])
    assert "science.utilisation_fraction" in step.source
    assert any(one.field == "science.utilisation_fraction" for one in sized(roofline(), catalog, weight).assumed)


def test_a_borrowed_curve_is_wide_and_says_whose_it_is(catalog):
    own = estimated(folding(targets_day=None), catalog, gpu="h100-sxm")
    borrowed = estimated(folding(application="boltz-2", targets_day=None), catalog, gpu="h100-sxm")
    width = {
        one: next(m.interval.p90 / m.interval.p10 for m in e.metrics if m.name == "elapsed_s")
        for one, e in (("own", own), ("borrowed", borrowed))
    }

    assert width["borrowed"] > 3 > width["own"]
    assert any("AlphaFold 3" in step.formula for step in borrowed.working)


def desktops(result, catalog):
    return [o for o in result.options if catalog.hardware.server(o.server).rack_units is None]


def test_desktops_make_no_cluster(catalog, weight):
    target = DeadlineTarget(deadline_days=0.02)
    found = sized(RecipeTrainingWorkload(application="openfold-training", target=target), catalog, weight)
    most = catalog.calibration.assumption("fleet.desktop_most_systems")

    assert found.feasible
    assert all(o.servers <= most for o in desktops(found, catalog))
    # No rack limit makes a farm of them.
    tight = sized(folding(targets_day=20000.0), catalog, weight, max_rack_kw=2.0)
    assert all(o.servers <= most for o in desktops(tight, catalog))
    refused = [r.detail for r in tight.rejected if r.limit is Limit.FLEET]
    assert any("desktops are asked for: they are linked by cable, 2 at most" in detail for detail in refused)


@pytest.mark.parametrize(("application", "gpus"), [("gromacs", 4), ("amber", 8), ("openmm", 4)])
def test_small_systems_gain_little_from_several_gpus(application, gpus, catalog):
    def speedup(atoms):
        asked = md(application=application, atoms=atoms, ns_day=None, replicas=1)
        one, several = (estimated(asked, catalog, gpu="gh200", gpus=n, replicas=1) for n in (1, gpus))
        return median(several, "ns_day") / median(one, "ns_day")

    reference = catalog.applications[application].scaling_size_atoms
    efficiency = next(p.efficiency_fraction for p in catalog.applications[application].scaling if p.gpus == gpus)
    assert speedup(reference) == pytest.approx(gpus * efficiency)
    assert 1.0 <= speedup(23558.0) < 0.8 * speedup(reference)


def test_several_gpus_of_another_size_are_no_measurement(catalog):
    asked = md(application="gromacs", atoms=23558, ns_day=None, replicas=1)
    one, four = (estimated(asked, catalog, gpu="gh200", gpus=n, replicas=1) for n in (1, 4))

    assert str(one.metrics[0].basis) == "measured"
    # Of a size 45 times smaller than those that ran on several GPUs.
    assert str(four.metrics[0].basis) == "extrapolated"


@pytest.mark.parametrize(("release", "memory_gb"), [("v2", 40.0), ("v3", 60.0)])
def test_a_release_takes_its_own_memory(release, memory_gb, catalog):
    # docs.nvidia.com/nim/earth-2/fourcastnet, support matrices of both containers
    found = estimated(WeatherWorkload(application="fourcastnet", steps=40.0, release=release), catalog, gpu="h100-sxm")

    assert found.memory_used_gb_gpu == pytest.approx(memory_gb)


def test_a_small_system_on_several_gpus_may_gain_nothing(catalog, weight):
    """Efficiencies were measured on systems of about a million atoms; whether messages shrink with it nobody knows."""

    def speeds(atoms, gpus):
        asked = md(application="gromacs", atoms=atoms, ns_day=1.0, replicas=1)
        found = estimated(asked, catalog, gpu="b200-sxm", gpus=gpus, replicas=1)
        metric = next(m for m in found.metrics if m.name == "ns_day_replica")
        return metric, [one.why for one in found.assumed if one.field == "gpus_instance"]

    (one, alone), (eight, told) = speeds(23_000, 1), speeds(23_000, 8)
    assert not alone
    assert any("may gain nothing" in why for why in told)
    assert eight.basis is Basis.EXTRAPOLATED
    assert eight.interval.p50 / eight.interval.p10 > one.interval.p50 / one.interval.p10
    # Nor are several GPUs faster than their launches let them be, more than one GPU is.
    assert eight.interval.p90 / eight.interval.p50 == pytest.approx(one.interval.p90 / one.interval.p50, rel=0.05)
    # What was measured is as sure as before, and told without a word.
    assert not speeds(1_100_000, 8)[1]

    picked = sized(md(application="gromacs", atoms=23_000, ns_day=900.0, replicas=1), catalog, weight).options
    assert all("may gain nothing" in " ".join(o.notes) for o in picked if o.gpus_instance > 1)


@pytest.mark.parametrize(("atoms", "outside"), [(1, True), (100, True), (23_000, False), (90_000_000, True)])
def test_a_system_of_a_size_that_nobody_timed_is_told(atoms, outside, catalog, weight):
    found = estimated(md(application="gromacs", atoms=atoms), catalog, gpu="gh200")
    told = [one.why for one in found.assumed if one.field == "workload.atoms"]

    assert any("outside what was measured" in why for why in told) == outside
    if outside:
        assert next(m for m in found.metrics if m.name == "ns_day").basis is Basis.EXTRAPOLATED
    option = sized(md(application="gromacs", atoms=atoms, ns_day=1.0, replicas=1), catalog, weight).options
    assert all(("outside what was measured" in " ".join(o.notes)) == outside for o in option)
