"""An estimate tells what stands around its GPUs, as an option does."""

from dataclasses import replace

import pytest

from service.sizing.estimate import estimate
from service.sizing.precision import Precision
from service.sizing.science.workload import DeadlineTarget, FoldingWorkload, Msa, MsaSearch, SizeDistribution
from service.sizing.size import size
from service.sizing.workload import Constraints, Deployment, Method, Question, TrainingTarget, TrainingWorkload
from tests.build import inference_workload
from tests.sizing.science.jobs import EVERY

TRAINING = TrainingWorkload(
    model="llama-3.1-8b", method=Method.PRETRAIN, tokens=1e12, target=TrainingTarget(deadline_days=30.0)
)


def answered(catalog, workload, deployment, **more):
    model = getattr(workload, "model", None)
    application = getattr(workload, "application", None)
    return estimate(
        workload,
        deployment,
        hardware=catalog.hardware,
        architecture=None if model is None else catalog.models[model].architecture,
        application=None if application is None else catalog.applications[application],
        calibration=catalog.calibration,
        **more,
    )


@pytest.mark.parametrize("workload", EVERY, ids=lambda w: w.application)
def test_every_scientific_estimate_has_network_storage_and_facility(workload, catalog):
    found = answered(catalog, workload, Deployment(gpu="b200-sxm", gpus=16), constraints=Constraints())

    assert found.servers == 2
    assert found.facility.it_power_kw > 0.0
    assert {"front_end", "management"} <= {part.network for part in found.network.networks}
    assert found.storage.stages
    assert any(step.name == "facility_power_kw" for step in found.working)


def test_a_training_talks_between_servers_and_stores_checkpoints(catalog):
    found = answered(catalog, TRAINING, Deployment(gpu="b200-sxm", gpus=64), constraints=Constraints())

    assert any(part.network == "compute" and part.leaf_switches for part in found.network.networks)
    assert {stage.stage for stage in found.storage.stages} == {"dataset", "checkpoints"}


def test_copies_of_a_model_take_no_compute_network(catalog):
    workload = inference_workload()
    found = answered(catalog, workload, Deployment(gpu="b200-sxm", gpus=16, tp=8), constraints=Constraints())

    assert found.servers == 2
    assert all(part.network != "compute" for part in found.network.networks)
    assert found.storage.capacity_tb > 0.0


def test_without_a_site_nothing_is_built(catalog):
    found = answered(catalog, TRAINING, Deployment(gpu="b200-sxm", gpus=64))

    assert found.facility is None
    assert found.network is None


def test_a_gpu_that_no_system_carries_has_no_servers(catalog):
    carried = {server.gpu for server in catalog.hardware.servers}
    loose = next(gpu.id for gpu in catalog.hardware.gpus if gpu.id not in carried and gpu.memory_bandwidth_tb_s)
    found = answered(catalog, EVERY[0], Deployment(gpu=loose, gpus=8), constraints=Constraints())

    assert found.servers is None
    assert found.facility is None
    assert found.storage is not None


def test_an_estimate_is_built_as_the_option_of_the_same_servers(catalog, weight):
    workload = FoldingWorkload(
        application="alphafold-3",
        tokens=SizeDistribution(mean=1024.0),
        targets_day=20_000.0,
        msa=Msa(route=MsaSearch.JACKHMMER),
    )
    result = size(
        Question(workload=workload),
        hardware=catalog.hardware,
        architecture=None,
        application=catalog.applications["alphafold-3"],
        calibration=catalog.calibration,
        weight=weight,
    )
    option = result.options[0]
    fixed = Deployment(gpu=option.gpu, gpus=option.gpus, server=option.server)
    found = answered(catalog, replace(workload, targets_day=None), fixed, constraints=Constraints())

    assert found.servers == option.servers
    assert found.facility.servers_rack == option.facility.servers_rack
    # What it does at the median is more than what is asked at the confidence: so are its alignments, and the switches
    # that stand in the fullest rack.
    assert found.facility.cpu_servers >= option.facility.cpu_servers > 0
    assert found.facility.rack_power_kw == pytest.approx(option.facility.rack_power_kw, rel=0.01)
    assert found.facility.rack_power_kw >= option.facility.rack_power_kw
    assert found.network.networks[0].network == option.network.networks[0].network


def test_a_sequence_model_stores_what_a_training_does(catalog):
    workload = next(w for w in EVERY if w.application == "esm-2")
    asked = replace(workload, precision=Precision.BF16, target=DeadlineTarget(deadline_days=30.0))
    found = answered(catalog, asked, Deployment(gpu="b200-sxm", gpus=64), constraints=Constraints())

    assert {"dataset", "checkpoints"} <= {stage.stage for stage in found.storage.stages}
