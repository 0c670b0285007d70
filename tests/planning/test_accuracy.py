"""Predicted beside measured: every run gets an answer, which nothing but the run itself decides."""

import json
import random

import pytest

from config.environment import ROOT
from service.planning.accuracy import predict
from service.planning.rerun.run import widened
from service.schemas.evidence import read_measured
from service.schemas.measured import Refused
from service.sizing.interval import Basis, Interval, Metric
from tests.evidence import ABSENT, FOLDED, SERVED, TRAINED, line

SERVING_METRICS = (
    "output_tokens_s", "total_tokens_s", "output_tokens_s_gpu", "total_tokens_s_gpu", "output_tokens_s_decode_gpu",
    "prefill_tokens_s_gpu", "decode_tokens_s_gpu", "tokens_s_user", "ttft_ms", "tpot_ms",
)  # fmt: skip
TRAINING_METRICS = (
    "tokens_s_gpu", "tokens_s", "samples_s", "step_time_s", "time_per_1000_iterations_min", "time_to_train_min",
    "gpu_hours", "peak_memory_gb", "model_tflops_gpu",
)  # fmt: skip
MUTE = ("id", "source", "reference", "notes", "split", "system_as_published", "basis")


@pytest.fixture(scope="module")
def catalog(facts):
    return facts.catalog


@pytest.fixture(scope="module")
def evidence():
    """Every twentieth published line of each kind."""
    found = []
    for path in sorted((ROOT / "config/evidence").glob("*.jsonl")):
        lines = path.read_bytes().splitlines()
        found += [json.loads(text) for text in lines[::20]]
    return found


def medians(catalog, raw):
    return {p.metric: p.interval.p50 for p in predict(catalog, read_measured(raw)) if p.interval is not None}


def words(catalog, raw):
    return {word for p in predict(catalog, read_measured(raw)) for word in p.assumed}


def test_every_metric_of_serving_is_predicted_and_they_agree(catalog):
    found = medians(catalog, line(measured=dict.fromkeys(SERVING_METRICS, 1.0)))
    assert set(found) == set(SERVING_METRICS)
    assert found["total_tokens_s"] == pytest.approx(2.0 * found["output_tokens_s"])
    assert found["output_tokens_s_gpu"] == pytest.approx(found["output_tokens_s"] / 8)
    assert found["total_tokens_s_gpu"] == pytest.approx(found["total_tokens_s"] / 8)
    # Where prefill and decode share their GPUs, all of them decode.
    assert found["output_tokens_s_decode_gpu"] == pytest.approx(found["output_tokens_s_gpu"])
    assert found["prefill_tokens_s_gpu"] == pytest.approx(found["output_tokens_s_gpu"])


def test_pools_share_the_gpus_as_published(catalog):
    pools = {"deployment__prefill": {"gpus": 4, "tp": 4}, "deployment__decode": {"gpus": 4, "tp": 4}}
    asked = line(deployment__mode="disaggregated", measured=dict.fromkeys(SERVING_METRICS, 1.0), **pools)
    found = medians(catalog, asked)
    assert found["output_tokens_s_decode_gpu"] == pytest.approx(2.0 * found["output_tokens_s_gpu"])
    assert found["prefill_tokens_s_gpu"] == pytest.approx(2.0 * found["output_tokens_s_gpu"])


def test_pools_that_cannot_have_been_leave_the_layout_to_the_engine(catalog):
    pool = {"tp": 1, "attention_dp": 1, "gpus_per_instance": 1}
    asked = line(
        workload__model="deepseek-v3",
        deployment__mode="disaggregated",
        deployment__gpus=32,
        deployment__tp=ABSENT,
        deployment__prefill=pool,
        deployment__decode=pool,
    )
    (first, _) = predict(catalog, read_measured(asked))
    assert first.fits is True
    assert "deployment.decode=open instead of tp 1" in first.assumed


def test_every_metric_of_training_is_predicted_and_they_agree(catalog):
    found = medians(catalog, line(TRAINED, measured=dict.fromkeys(TRAINING_METRICS, 1.0)))
    assert set(found) == set(TRAINING_METRICS)
    assert found["tokens_s"] == pytest.approx(8 * found["tokens_s_gpu"], rel=1e-4)
    assert found["samples_s"] == pytest.approx(found["tokens_s"] / 8192, rel=1e-4)
    assert found["time_per_1000_iterations_min"] == pytest.approx(1000 * found["step_time_s"] / 60, rel=1e-4)
    assert found["gpu_hours"] == pytest.approx(found["time_to_train_min"] / 60 * 8, rel=1e-4)


def test_flop_that_count_more_are_more(catalog):
    measured = {"model_tflops_gpu": 400.0}
    found = [
        medians(catalog, line(TRAINED, measured=measured, flop_convention=convention))["model_tflops_gpu"]
        for convention in ("causal_halved", "full_attention", "full_attention_with_recompute")
    ]
    assert found[0] < found[1] < found[2]
    assert found[2] == pytest.approx(found[1] * 4 / 3)


@pytest.mark.parametrize(
    ("changes", "metric"),
    [
        ({}, "elapsed_s"),
        ({"workload__application": "openmm", "workload__model": "apoa1 PME", "workload__atoms": 92224.0}, "ns_day"),
        ({"workload__application": "fluidx3d", "workload__precision": "FP32/FP16S"}, "mlups"),
        ({"workload__application": "gemm", "workload__precision": "FP64"}, "tflops"),
        ({"workload__application": "esm-2-training", "workload__parameters": 15e9}, "tokens_s_gpu"),
        ({"workload__application": "corrdiff", "workload__diffusion_steps": 18.0}, "elapsed_s"),
    ],
)
def test_scientific_jobs_are_predicted_by_their_templates(changes, metric, catalog):
    (found,) = predict(catalog, read_measured(line(FOLDED, measured={metric: 1.0}, **changes)))
    assert found.refused is None
    assert found.interval.p10 <= found.interval.p50 <= found.interval.p90


def test_a_target_of_five_models_timed_by_one(catalog):
    whole = line(FOLDED, workload__application="alphafold-2", workload__residues=1000.0)
    one = line(whole, workload__settings="one model, excludes compile")
    assert medians(catalog, one)["elapsed_s"] == pytest.approx(medians(catalog, whole)["elapsed_s"] / 5)


@pytest.mark.parametrize(
    ("settings", "step_fs", "assumed"),
    [
        ("CUDA platform", 2.0, True),
        ("2 fs timestep", 2.0, False),
        ("4fs LangevinMiddle, mixed precision", 4.0, False),
        ("MTS: bonded forces every 1 fs, others every 2.5 fs; frames every 1000 fs", 2.5, False),
        ("HMR, mixed precision", 4.0, True),
    ],
)
def test_a_step_that_only_the_settings_tell_is_read_from_them(settings, step_fs, assumed, catalog):
    apoa1 = {"workload__application": "openmm", "workload__model": "apoa1 PME", "workload__atoms": 92224.0}
    asked = line(FOLDED, measured={"ns_day": 1.0}, workload__settings=settings, **apoa1)
    told = line(asked, workload__timestep_fs=step_fs)

    assert medians(catalog, asked) == medians(catalog, told)
    assert any(word.startswith("workload.timestep_fs=") for word in words(catalog, asked)) == assumed
    # The field is what counts where it stands.
    other = line(asked, workload__timestep_fs=1.0)
    assert medians(catalog, other)["ns_day"] == pytest.approx(medians(catalog, asked)["ns_day"] / step_fs, rel=1e-5)


def test_only_what_may_influence_a_prediction_does(catalog, evidence):
    chance = random.Random(1)
    shuffled = chance.sample(evidence, len(evidence))
    for raw, other in zip(evidence, shuffled, strict=True):
        stripped = {key: value for key, value in raw.items() if key not in MUTE}
        mixed = {**raw, **{key: other.get(key, "nothing") for key in MUTE}}
        for changed in (stripped, mixed):
            for part in ("workload", "deployment"):
                names = [name for name in changed[part] if name.endswith("_as_published")]
                changed[part] = {name: value for name, value in changed[part].items() if name not in names}
            changed["measured"] = {name: chance.random() for name in raw["measured"]}
            changed["fits"] = chance.random() < 0.5
            assert predict(catalog, read_measured(changed)) == predict(catalog, read_measured(raw)), raw["id"]


FIELDS = [
    (of, f"{part}__{name}")
    for of in (SERVED, TRAINED, FOLDED)
    for part in ("workload", "deployment")
    for name in of[part]
    if name not in {"model", "application", "gpu"}
]


@pytest.mark.parametrize(("of", "name"), FIELDS, ids=lambda value: value if isinstance(value, str) else value["kind"])
def test_a_missing_field_is_no_reason_to_refuse(of, name, catalog):
    found = predict(catalog, read_measured(line(of, **{name: ABSENT})))
    assert [p.refused for p in found] == [None] * len(of["measured"])
    if name.endswith(("isl_tokens", "osl_tokens", "weight_precision", "seq_len_tokens", "global_batch_sequences")):
        assert any(name.replace("__", ".") in word for p in found for word in p.assumed)


def test_a_missing_field_widens_the_interval(catalog):
    known = predict(catalog, read_measured(SERVED))[0].interval
    unknown = predict(catalog, read_measured(line(workload__osl_tokens=ABSENT)))[0].interval
    assert unknown.p90 / unknown.p50 > known.p90 / known.p50
    assert unknown.p50 / unknown.p10 > known.p50 / known.p10


@pytest.mark.parametrize("of", [SERVED, TRAINED, FOLDED], ids=lambda of: of["kind"])
def test_next_to_nothing_is_enough(of, catalog):
    subject = "application" if of["kind"] == "science" else "model"
    bare = {
        "kind": of["kind"],
        "measured": of["measured"],
        "workload": {subject: of["workload"][subject]},
        "deployment": {"gpu": "b200-sxm"},
    }
    assert all(p.refused is None and p.assumed for p in predict(catalog, read_measured(bare)))


@pytest.mark.parametrize("load", [{"value": 16}, {"kind": "poisson", "value": 16}])
def test_a_number_of_requests_is_how_many_are_in_flight_where_nothing_says_how_they_came(load, catalog):
    stated = medians(catalog, line(deployment__load={"kind": "concurrency", "value": 16}))
    assert medians(catalog, line(deployment__load=load)) == stated
    assert "deployment.load=concurrency" in words(catalog, line(deployment__load=load))


def test_gpus_that_nobody_published_are_one_instance(catalog):
    stated = line(deployment__gpus=ABSENT, deployment__tp=4, deployment__pp=2)
    assert "deployment.gpus=8" in words(catalog, stated)
    small = line(deployment__gpus=ABSENT, deployment__tp=ABSENT, deployment__pp=ABSENT, deployment__attention_dp=ABSENT)
    assert "deployment.gpus=1" in words(catalog, small)
    large = line(small, workload__model="llama-3.1-405b")
    assert "deployment.gpus=4" in words(catalog, large)


@pytest.mark.parametrize("said", [True, "likely", "unknown", False])
def test_speculation_is_as_published_or_said(said, catalog):
    found = words(catalog, line(workload__speculative_decoding=said))
    told = [word for word in found if word.startswith("workload.speculative_decoding")]
    expected = {
        True: ["workload.speculative_decoding=3 drafted, 0.66 accepted"],
        "likely": ["workload.speculative_decoding=3 drafted, 0.66 accepted"],
        "unknown": ["workload.speculative_decoding=none"],
        False: [],
    }
    assert told == expected[said]


@pytest.mark.parametrize(
    ("of", "changes", "word"),
    [
        (SERVED, {"deployment__tp": 6}, "deployment.tp=4 instead of 6"),
        (SERVED, {"deployment__pp": 99, "deployment__gpus": 512}, "deployment.pp=80 instead of 99"),
        (SERVED, {"deployment__ep": 3}, "deployment.ep=1 instead of 3"),
        (SERVED, {"deployment__gpus": 2}, "deployment.gpus=4 instead of 2"),
        (TRAINED, {"deployment__dp": 3}, "deployment.dp=open instead of 3"),
        (TRAINED, {"workload__global_batch_sequences": 13}, "workload.global_batch_sequences=16 instead of 13"),
        (TRAINED, {"workload__precision": "fp4"}, "workload.precision=bf16 instead of fp4"),
    ],
)
def test_a_layout_that_the_engine_refuses_is_predicted_in_the_nearest_it_takes(of, changes, word, catalog):
    found = predict(catalog, read_measured(line(of, **changes)))
    assert [p.refused for p in found] == [None, None]
    assert word in found[0].assumed


def test_what_does_not_fit_is_predicted_and_said(catalog):
    asked = line(workload__model="llama-3.1-405b", workload__weight_precision="bf16", deployment__tp=1)
    for found in predict(catalog, read_measured(asked)):
        assert found.fits is False
        assert found.interval is not None


@pytest.mark.parametrize(
    ("of", "changes", "refused"),
    [
        (SERVED, {"workload__model": "lama-9"}, Refused.UNKNOWN_MODEL),
        (SERVED, {"workload__model": ABSENT}, Refused.UNKNOWN_MODEL),
        (SERVED, {"workload__model": "resnet-50"}, Refused.OUT_OF_SCOPE),
        (SERVED, {"deployment__gpu": "mi300x"}, Refused.UNKNOWN_GPU),
        (SERVED, {"deployment__gpu": ABSENT}, Refused.UNKNOWN_GPU),
        (TRAINED, {"deployment": ABSENT}, Refused.UNKNOWN_GPU),
        (FOLDED, {"workload__application": "tarot"}, Refused.UNKNOWN_MODEL),
        (FOLDED, {"measured": {"peak_memory_gb": 61.0}}, Refused.UNSUPPORTED_METRIC),
        (TRAINED, {"measured": {"checkpoint_size_gb": 4.0}}, Refused.UNSUPPORTED_METRIC),
        (SERVED, {"measured": {"happiness": 11}}, Refused.UNSUPPORTED_METRIC),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_reason(of, changes, refused, catalog):
    for found in predict(catalog, read_measured(line(of, **changes))):
        assert (found.refused, found.interval, found.basis) == (refused, None, None)


def test_one_unsupported_metric_does_not_silence_the_others(catalog):
    found = predict(catalog, read_measured(line(measured={"tpot_ms": 12.0, "happiness": 11})))
    assert [p.refused for p in found] == [None, Refused.UNSUPPORTED_METRIC]


def test_widening_stretches_both_arms_on_the_logarithm():
    metric = Metric(name="tpot_ms", interval=Interval(p10=5.0, p50=10.0, p90=40.0), basis=Basis.CALIBRATED)
    assert widened(metric, 2.0).interval == Interval(p10=2.5, p50=10.0, p90=160.0)
    assert widened(metric, 1.0) is metric


def test_almost_every_published_timing_is_answered(catalog, evidence):
    timings = [raw for raw in evidence if raw["scope"] == "timing"]
    found = [all(p.refused is None for p in predict(catalog, read_measured(raw))) for raw in timings]
    assert sum(found) / len(found) > 0.95


def test_degrees_that_count_the_same_gpus_twice_are_counted_once(catalog):
    """Some engines say all GPUs of an instance as tp, and attention data parallelism inside it."""
    deepseek = {"workload__model": "deepseek-v3", "deployment__ep": 8}
    twice = line(deployment__tp=8, deployment__attention_dp=8, **deepseek)
    once = line(deployment__tp=1, deployment__attention_dp=8, **deepseek)
    assert medians(catalog, twice) == medians(catalog, once)
    assert "deployment.tp=1" in words(catalog, twice)


def uncounted(clients: int):
    """A disaggregated run of which nobody said how many instances it had."""
    pool = {"tp": 4, "attention_dp": 1}
    return line(
        deployment__mode="disaggregated",
        deployment__gpus=ABSENT,
        deployment__tp=ABSENT,
        deployment__prefill=pool,
        deployment__decode=pool,
        deployment__load={"kind": "concurrency", "value": clients},
        workload__isl_tokens=8192.0,
    )


def test_pools_that_nobody_counted_keep_pace_with_their_prompts(catalog):
    said = words(catalog, uncounted(400))
    assert "deployment.decode.instances=4" in said
    # One instance would let hundreds of prompts pile up.
    (prefill,) = (word for word in said if word.startswith("deployment.prefill.instances="))
    assert int(prefill.rpartition("=")[2]) > 1


def test_pools_that_nobody_counted_grow_more_slowly_than_their_load(catalog):
    assert "deployment.decode.instances=3" in words(catalog, uncounted(60))
    few, many = (medians(catalog, uncounted(clients))["tpot_ms"] for clients in (60, 960))
    assert many > few


def test_software_ages_with_its_version(catalog):
    old, new = (
        medians(catalog, line(deployment__software=name, published="2026-07"))["tpot_ms"]
        for name in ("TensorRT-LLM 1.0", "TensorRT-LLM 9.9")
    )
    assert old > new
