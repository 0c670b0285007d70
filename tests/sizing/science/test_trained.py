"""Protein and genomic language models go through the training engine."""

from dataclasses import replace
from itertools import pairwise

import pytest

from service.sizing.architecture import count
from service.sizing.precision import Precision
from service.sizing.science.sequence_model import architecture_of
from service.sizing.science.workload import DeadlineTarget, SequenceTrainingWorkload
from tests.sizing.science.jobs import MONTH, estimated, median, sized

EVO = SequenceTrainingWorkload(application="evo-2", parameters=7e9, tokens=1e12)
ESM = SequenceTrainingWorkload(application="esm-2", parameters=15e9, tokens=1e12)


@pytest.mark.parametrize("application", ["esm-2", "evo-2"])
@pytest.mark.parametrize("parameters", [65e7, 1e9, 2e9, 3e9, 7e9, 15e9, 40e9, 1e11])
def test_the_layer_list_has_about_as_many_parameters_as_were_asked_for(application, parameters, catalog):
    model = catalog.applications[application].sequence_model
    network = architecture_of(model, id_=application, parameters=parameters)

    assert count(network).total_params == pytest.approx(parameters, rel=0.14)
    assert network.hidden % network.mixers[0].heads == 0


def test_a_published_size_is_the_published_network(catalog):
    model = catalog.applications["esm-2"].sequence_model
    network = architecture_of(model, id_="esm-2", parameters=65e7)

    assert (network.layers, network.hidden, network.mixers[0].heads) == (33, 1280, 20)


def test_a_sizing_has_the_layout_the_batch_and_the_memory_of_a_training(catalog, weight):
    option = sized(replace(ESM, target=MONTH), catalog, weight).options[0]
    parts = {part.part for part in option.memory_gb_gpu}

    assert option.batch == pytest.approx(2048)
    assert option.precision == "bf16"
    assert option.layout.tp * option.layout.pp * option.layout.cp * option.layout.dp == option.gpus_instance
    assert {"weights", "optimizer", "activations"} <= parts
    assert any(step.name == "step_time_s" for step in option.working)


@pytest.mark.parametrize(("gpu", "tokens_s_gpu"), [("h200-sxm", 5930.0), ("b200-sxm", 11800.0)])
def test_a_measured_training_is_met(gpu, tokens_s_gpu, catalog):
    # NVIDIA/bionemo-framework, esm2_native_te recipe: 15B, packed, BF16, 8 GPUs.
    assert median(estimated(ESM, catalog, gpu=gpu, gpus=8), "tokens_s_gpu") == pytest.approx(tokens_s_gpu, rel=0.12)


def test_a_longer_context_takes_longer(catalog):
    def pace(context):
        return median(estimated(replace(EVO, context_tokens=context), catalog, gpu="h100-sxm", gpus=64), "tokens_s_gpu")

    paces = [pace(context) for context in (8192, 65_536, 1_048_576)]
    assert paces == sorted(paces, reverse=True)
    assert paces[0] > 4.0 * paces[-1]


def test_the_context_that_was_taken_is_told(catalog):
    def told(workload):
        assumed = estimated(workload, catalog, gpu="h100-sxm", gpus=8).assumed
        return {a.field: a for a in assumed}.get("workload.context_tokens")

    assert told(EVO).value == "8,192"
    assert told(replace(EVO, context_tokens=16_384)) is None
    assert "longer" in told(replace(ESM, context_tokens=4096)).why


def test_more_gpus_train_faster_and_never_more_than_in_proportion(catalog):
    days = [median(estimated(ESM, catalog, gpu="b200-sxm", gpus=gpus), "elapsed_days") for gpus in (8, 16, 32, 64)]

    assert days == sorted(days, reverse=True)
    assert all(one / two <= 2.0 + 1e-9 for one, two in pairwise(days))


def test_a_deadline_that_no_fleet_meets_says_by_how_much(catalog, weight):
    soon = replace(ESM, tokens=1e15, target=DeadlineTarget(deadline_days=1.0))
    result = sized(soon, catalog, weight)

    assert not result.feasible
    assert result.shortfall.best > 1.0


def test_a_number_format_that_a_gpu_lacks_is_a_rejection(catalog, weight):
    result = sized(
        replace(ESM, precision=Precision.FP4, target=MONTH), catalog, weight, allowed_gpus=("h200-nvl", "b300-sxm")
    )

    assert {option.gpu for option in result.options} == {"b300-sxm"}
