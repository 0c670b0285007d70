"""What sizing answers for every application, and for what cannot be."""

from dataclasses import replace

import numpy as np
import pytest

from service.errors import InvalidRequestError, UnsupportedWorkloadError
from service.sizing.precision import Precision
from service.sizing.result import Limit
from service.sizing.science.describe import describe
from service.sizing.science.workload import (
    DockingWorkload,
    LatticeWorkload,
    Msa,
    MsaSearch,
    SequenceTrainingWorkload,
    SizeDistribution,
    WeatherWorkload,
)
from tests.sizing.science.jobs import EVERY, MONTH, estimated, folding, md, median, roofline, sized


@pytest.mark.parametrize("workload", EVERY, ids=lambda w: w.application)
def test_every_application_is_sized(workload, catalog, weight):
    result = sized(workload, catalog, weight)

    assert result.feasible
    best = result.options[0]
    assert best.confidence_fraction >= 0.8 - 1e-6
    assert best.gpus == best.servers * next(s.gpus for s in catalog.hardware.servers if s.id == best.server)
    assert best.memory_used_gb_gpu <= best.memory_usable_gb_gpu
    for option in result.options:
        for metric in option.metrics:
            assert 0.0 < metric.interval.p10 <= metric.interval.p50 <= metric.interval.p90 < np.inf
        assert option.working
    refused = {r.server for r in result.rejected}
    assert refused | {o.server for o in result.options} == {s.id for s in catalog.hardware.servers if not s.reference}


def test_every_application_of_the_catalog_is_tried(catalog):
    assert {w.application for w in EVERY} == set(catalog.applications)


@pytest.mark.parametrize("workload", EVERY, ids=lambda w: w.application)
def test_the_options_of_a_sizing_are_what_an_estimate_says(workload, catalog, weight):
    option = sized(workload, catalog, weight).options[0]
    replicas = None if option.mode == "coupled" else option.replicas
    gpus = option.gpus if replicas is None else option.replicas * option.gpus_instance
    estimate = estimated(workload, catalog, gpu=option.gpu, gpus=gpus, server=option.server, replicas=replicas)

    assert estimate.fits
    by_name = {m.name: m.interval for m in estimate.metrics}
    for metric in option.metrics:
        assert metric.interval.p50 == pytest.approx(by_name[metric.name].p50, rel=1e-12)


@pytest.mark.parametrize("workload", EVERY, ids=lambda w: w.application)
def test_the_order_of_the_catalog_changes_nothing(workload, catalog, weight):
    hardware = catalog.hardware
    turned = replace(hardware, servers=hardware.servers[::-1], gpus=hardware.gpus[::-1])
    there, back = sized(workload, catalog, weight), sized(workload, replace(catalog, hardware=turned), weight[::-1])

    assert there.options == back.options
    assert set(there.rejected) == set(back.rejected)
    assert (there.pareto, there.shortfall, there.sensitivity) == (back.pareto, back.shortfall, back.sensitivity)


def test_fp64_goes_to_b200_and_gb200_only_and_says_why(catalog, weight):
    result = sized(roofline(), catalog, weight)

    assert {o.gpu for o in result.options} == {"b200-sxm", "gb200"}
    reasons = {r.server: r for r in result.rejected}
    for server in ("poweredge-xe9780-b300", "poweredge-xe9712-gb300", "poweredge-xe7745-rtx-pro-6000-se"):
        assert reasons[server].limit is Limit.PRECISION
        assert "B200" in reasons[server].detail


def test_fp64_on_b300_alone_is_a_shortfall_that_names_the_way_out(catalog, weight):
    result = sized(roofline(), catalog, weight, allowed_gpus=("b300-sxm", "gb300"))

    assert not result.feasible
    assert result.shortfall is not None
    assert result.shortfall.limit is Limit.PRECISION
    assert "B200" in result.shortfall.relaxation


def test_fp32_work_may_go_to_b300(catalog, weight):
    result = sized(roofline(precision=Precision.FP32), catalog, weight, allowed_gpus=("b300-sxm",))

    assert result.feasible


def test_a_target_that_no_gpu_holds_names_the_longest_that_fits(catalog, weight):
    result = sized(folding(tokens=SizeDistribution(mean=20000.0)), catalog, weight)

    assert not result.feasible
    assert result.shortfall is not None
    assert result.shortfall.limit is Limit.CONTEXT
    assert result.shortfall.required == 20480
    # AlphaFold 3 computes in steps of 512: the longest bucket below sqrt(298 GB / 3,052 B).
    assert result.shortfall.best == 9728
    assert "9,728" in result.shortfall.relaxation
    # What was published of several GPUs is told; it is no promise for this length.
    assert "16 a100-40gb" in result.shortfall.relaxation
    assert "several GPUs" in next(r.detail for r in result.rejected if r.limit is Limit.CONTEXT)


def test_replicas_come_before_strong_scaling(catalog, weight):
    many = sized(md(application="gromacs", atoms=1067000, ns_day=400.0, replicas=20), catalog, weight).options[0]
    few = sized(md(application="gromacs", atoms=1067000, ns_day=400.0, replicas=4), catalog, weight).options[0]

    assert many.gpus_instance == 1
    assert few.gpus_instance > 1
    assert few.replicas <= 4


def test_one_trajectory_cannot_be_faster_than_its_gpus(catalog, weight):
    result = sized(md(application="amber", ns_day=10000.0, replicas=1), catalog, weight)

    assert not result.feasible
    assert {r.limit for r in result.rejected} == {Limit.THROUGHPUT}


def test_embeddings_that_are_kept_are_in_the_storage(catalog, weight):
    def outputs(**changes):
        asked = folding(tokens=SizeDistribution(mean=5120.0), targets_day=100.0, **changes)
        return {s.stage: s.capacity_tb for s in sized(asked, catalog, weight).options[0].storage.stages}["outputs"]

    # Almost 6 GiB a seed of 5,120 tokens, kept for 30 days.
    assert outputs() is None
    assert outputs(keep_embeddings=True, seeds=2) == pytest.approx(100 * 30 * 2 * 6 * 1.0737 / 1000, rel=0.01)


def test_energy_goes_with_how_busy_the_gpus_are(catalog, weight):
    busy = sized(folding(targets_day=50_000.0), catalog, weight, allowed_gpus=("b200-sxm",)).options[0]
    idle = sized(folding(targets_day=1.0), catalog, weight, allowed_gpus=("b200-sxm",)).options[0]

    def drawn(option):
        return option.facility.energy_kwh_year / option.facility.facility_power_kw / 8760

    load = catalog.calibration.assumption("facility.load_fraction")
    rest = catalog.calibration.assumption("facility.idle_fraction")
    used = {q.name: q.value for q in busy.utilisation}
    share = used["gpu_busy_fraction"] / used["planned_most_fraction"]
    assert drawn(busy) == pytest.approx(rest + (load - rest) * share, rel=1e-3)
    assert drawn(idle) == pytest.approx(rest, rel=0.02)


def test_a_licence_is_told(catalog, weight):
    assert any("non-commercial" in note for note in sized(folding(), catalog, weight).options[0].notes)


def test_docking_without_a_rate_is_told_apart_and_wide(catalog, weight):
    given = DockingWorkload(application="docking", ligands_day=1e8, ligands_s_gpu=2.5, measured_gpu="a100-80gb")
    blind = DockingWorkload(application="docking", ligands_day=1e8)

    def width(workload):
        metric = sized(workload, catalog, weight).options[0].metrics[0].interval
        return metric.p90 / metric.p10

    assert width(blind) > 16.0 > width(given)
    assert any(a.field == "workload.ligands_s_gpu" for a in sized(blind, catalog, weight).assumed)


def test_docking_with_a_rate_is_not_asked_for_one_and_the_gpu_of_it_is_named(catalog, weight):
    def notes(**given):
        asked = DockingWorkload(application="docking", ligands_day=1e8, **given)
        return sized(asked, catalog, weight).options[0].notes

    assert any("Give ligands_s_gpu" in note for note in notes())
    named = notes(ligands_s_gpu=2.5, measured_gpu="a100-80gb")
    assert not any("Give ligands_s_gpu" in note or "measured_gpu" in note for note in named)
    assert any("taken to be of h100-sxm" in note for note in notes(ligands_s_gpu=2.5))


def test_a_site_limit_is_a_rejection_with_its_numbers(catalog, weight):
    result = sized(folding(targets_day=200_000.0), catalog, weight, max_facility_kw=20.0)

    assert not result.feasible
    assert result.shortfall is not None
    assert result.shortfall.limit is Limit.FACILITY_POWER
    assert result.shortfall.best > result.shortfall.required == 20.0


def test_a_measured_gpu_is_measured_and_a_transferred_one_is_not(catalog):
    def basis(gpu):
        return str(estimated(md(timestep_fs=4.0), catalog, gpu=gpu).metrics[0].basis)

    assert basis("b200-sxm") == "measured"
    assert basis("b300-sxm") == "extrapolated"


def test_steps_that_nobody_timed_on_a_gpu_are_other_settings(catalog):
    def found(timestep_fs, gpu="b200-sxm"):
        return next(m for m in estimated(md(timestep_fs=timestep_fs), catalog, gpu=gpu).metrics if m.name == "ns_day")

    def width(metric):
        return metric.interval.p90 / metric.interval.p10

    # OpenMM was timed at 4 fs on a B200 and at 2 fs on a GH200.
    timed, asked = found(4.0), found(2.0)
    assert (str(timed.basis), str(asked.basis)) == ("measured", "calibrated")
    assert width(asked) > 1.5 * width(timed)
    # A step costs what it costs: half the step, half the nanoseconds.
    assert asked.interval.p50 == pytest.approx(timed.interval.p50 / 2.0)
    assert width(found(2.0, gpu="gh200")) < width(found(4.0, gpu="gh200"))


def test_settings_that_are_stated_are_those_of_the_curve_or_others(catalog):
    """A caller's own are unknown; those of a published run are known, by its own words."""
    timed = next(c for c in catalog.applications["openmm"].curves if c.gpu == "b200-sxm" and c.variant == "pme")

    def found(settings, gpu="b200-sxm"):
        workload = replace(md(timestep_fs=4.0), settings=settings)
        metric = next(m for m in estimated(workload, catalog, gpu=gpu).metrics if m.name == "ns_day")
        return str(metric.basis), metric.interval.p90 / metric.interval.p10, metric.interval.p50

    same, unknown, other = found(timed.settings[0]), found(None), found("2 fs, no HMR, cutoff 1.2 nm")
    assert (same[0], unknown[0], other[0]) == ("measured", "measured", "calibrated")
    assert same[1] < unknown[1] < other[1]
    assert same[2] == unknown[2] == other[2]
    # The same on a GPU that nobody timed.
    assert found(timed.settings[0], "b300-sxm")[1] < found(None, "b300-sxm")[1] < found("others", "b300-sxm")[1]


def test_settings_of_a_code_that_has_none_change_nothing(catalog):
    lattice = LatticeWorkload(application="fluidx3d", cells=1e9, steps=1e5)
    plain, stated = (
        estimated(one, catalog, gpu="b200-sxm").metrics for one in (lattice, replace(lattice, settings="OpenCL"))
    )
    assert plain == stated


def test_steps_that_were_timed_elsewhere_are_told(catalog, weight):
    told = {t: " ".join(sized(md(timestep_fs=t), catalog, weight).options[0].notes) for t in (2.0, 4.0)}

    assert "other settings than asked" in told[2.0]
    assert "other settings than asked" not in told[4.0]


def test_a_transferred_gpu_has_the_wider_interval(catalog):
    def width(gpu):
        interval = estimated(folding(), catalog, gpu=gpu).metrics[0].interval
        return interval.p90 / interval.p10

    assert width("h100-sxm") < width("b200-sxm") < width("b300-sxm")


def test_an_unknown_method_names_the_known_ones(catalog):
    with pytest.raises(InvalidRequestError, match="pme, rf, ljpme, amoeba"):
        describe(md(method="ewald"), catalog.applications["openmm"], catalog.calibration)


def test_what_reads_one_sequence_takes_no_alignments(catalog, weight):
    asked = folding(application="esmfold", msa=Msa(route=MsaSearch.JACKHMMER))
    with pytest.raises(UnsupportedWorkloadError, match="one sequence is all that it reads") as refused:
        sized(asked, catalog, weight)
    (error,) = refused.value.detail.errors
    assert (error.field, error.value, error.limit) == ("workload.msa.route", "jackhmmer", "precomputed")


def test_workload_and_application_must_belong_together(catalog):
    with pytest.raises(UnsupportedWorkloadError, match="template md"):
        describe(folding(), catalog.applications["openmm"], catalog.calibration)


def test_a_grid_that_needs_many_gpus_gets_them(catalog, weight):
    grid = LatticeWorkload(application="fluidx3d", cells=5e11, steps=1e4, target=MONTH)
    result = sized(grid, catalog, weight, allowed_gpus=("b200-sxm",))

    # 93 bytes a cell on 85 % of 192 GB
    assert result.options[0].gpus >= 5e11 * 93 / (0.85 * 192.3e9)


def test_elapsed_time_excludes_the_host_and_wall_time_includes_it(catalog):
    estimate = estimated(folding(seeds=3), catalog, gpu="h100-sxm")

    assert median(estimate, "wall_s") == pytest.approx(median(estimate, "elapsed_s") + 3 * 25.0)


def test_the_judgement_that_moves_the_answer_most_comes_first(catalog, weight):
    found = sized(roofline(steps=1e7), catalog, weight).sensitivity

    assert found[0].assumption == "science.flop_efficiency_fraction"
    assert found[0].at_low > found[0].at_high
    swings = [abs(s.at_high - s.at_low) for s in found]
    assert swings == sorted(swings, reverse=True)


def test_too_few_host_cores_leave_gpus_idle(catalog):
    asked = md(application="gromacs")
    starved = estimated(asked, catalog, gpu="b200-sxm", gpus=8, host_cores=50)
    fed = estimated(asked, catalog, gpu="b200-sxm", gpus=8, host_cores=100)

    # 12 cores a GPU
    assert (starved.replicas, fed.replicas) == (4, 8)
    assert (starved.bottleneck, fed.bottleneck) == ("host", "gpu")
    assert median(fed, "ns_day") == pytest.approx(2 * median(starved, "ns_day"))


def test_every_piece_of_evidence_is_in_the_product(catalog):
    known = {point.id for point in catalog.calibration.evidence.points}
    named = {i for a in catalog.applications.values() for c in a.curves for i in c.evidence}

    assert len(named) > 20
    assert named <= known


def test_one_job_on_more_gpus_than_anybody_measured_is_refused(catalog):
    with pytest.raises(UnsupportedWorkloadError, match=r"deployment\.replicas"):
        estimated(md(), catalog, gpu="b200-sxm", gpus=16, replicas=1)


def test_a_gpu_that_nothing_is_known_of_is_refused(catalog):
    asked = roofline(application="gemm", precision=Precision.FP32)
    with pytest.raises(UnsupportedWorkloadError, match="data sheet"):
        estimated(asked, catalog, gpu="gb300-desktop")


def test_an_estimate_of_fp64_on_b300_is_small_and_says_so(catalog):
    asked = roofline(application="gemm", step_bytes=0.0)
    weak, strong = (estimated(asked, catalog, gpu=gpu) for gpu in ("b300-sxm", "b200-sxm"))

    assert median(strong, "tflops") > 20 * median(weak, "tflops")
    assert any("trades FP64 away" in a.why for a in weak.assumed)
    assert not any("trades FP64 away" in a.why for a in strong.assumed)


@pytest.mark.parametrize(("application", "results"), [("fourcastnet", 50 * 60), ("corrdiff", 50)])
def test_storage_keeps_every_member_of_a_forecast(application, results, catalog, weight):
    asked = WeatherWorkload(application=application, forecasts_day=24.0, members=50, steps=60.0)
    option = sized(asked, catalog, weight).options[0]
    outputs = next(s for s in option.storage.stages if s.stage == "outputs")

    # 0.3 GB each, kept 30 days
    assert outputs.capacity_tb == pytest.approx(24 * results * 0.3 * 30 / 1000)
    assert any("Storage keeps" in note for note in option.notes)


def test_training_of_a_sequence_model_stores_its_data_and_its_checkpoints(catalog, weight):
    asked = SequenceTrainingWorkload(application="esm-2", parameters=3e9, tokens=2e12, target=MONTH)
    storage = sized(asked, catalog, weight).options[0].storage
    stages = {s.stage: s.capacity_tb for s in storage.stages}
    kept = catalog.calibration.assumption("training.checkpoints_kept")

    assert stages["dataset"] == pytest.approx(2.0)
    # 14 bytes a parameter of the layer list, which is a little under its name of 3 billion.
    assert stages["checkpoints"] == pytest.approx(kept * 3e9 * 14 / 1e12, rel=0.07)
    assert storage.read_gb_s > 0.0
    assert storage.write_gb_s > 0.0
    assert storage.capacity_tb == pytest.approx(stages["dataset"] + stages["checkpoints"])


def test_a_way_out_that_is_none_is_not_told_as_one(catalog, weight):
    far = sized(folding(tokens=SizeDistribution(mean=40000.0)), catalog, weight).shortfall
    unknown = sized(
        roofline(application="gemm", precision=Precision.FP32), catalog, weight, allowed_gpus=("gb300-desktop",)
    ).shortfall

    assert far is not None
    assert "no way to compute it was published" in far.relaxation
    assert unknown is not None
    assert unknown.limit is Limit.UNKNOWN_FACT
    assert "relax" not in unknown.relaxation
    assert "allow other servers or GPUs" in unknown.relaxation
