"""size_training over the real catalog: deadline, GPU count, budget, and what nothing fits says."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from service.catalog.catalog import Catalog
from service.errors import InvalidRequestError, UnsupportedWorkloadError
from service.sizing.hardware import Hardware
from service.sizing.precision import Precision
from service.sizing.result import Estimate, Limit, SizingOption, SizingResult
from service.sizing.table import FloatArray
from service.sizing.terms import Terms
from service.sizing.training.evaluate import estimate_training
from service.sizing.training.search import size_training
from service.sizing.workload import Constraints, Deployment, Method, Question, Recompute, Sharding, TrainingTarget
from tests.sizing.training.jobs import training_workload

Sizer = Callable[..., SizingResult]
BIG = {
    "model": "llama-3.1-405b",
    "tokens": 15e12,
    "precision": Precision.FP8,
    "seq_len_tokens": 8192,
    "global_batch_sequences": 2048,
}


@pytest.fixture(scope="module")
def sizer(catalog: Catalog, weight: FloatArray) -> Sizer:
    def size(
        *,
        constraints: Constraints | None = None,
        hardware: Hardware | None = None,
        **changes: object,
    ) -> SizingResult:
        workload = training_workload(**changes)
        return size_training(
            Question(workload=workload, constraints=constraints or Constraints()),
            catalog.models[str(workload.model)].architecture,
            terms=Terms(hardware=hardware or catalog.hardware, calibration=catalog.calibration, weight=weight),
        )

    return size


def p50(option: SizingOption, name: str) -> float:
    return next(m.interval.p50 for m in option.metrics if m.name == name)


def p90(option: SizingOption, name: str) -> float:
    return next(m.interval.p90 for m in option.metrics if m.name == name)


def test_a_deadline_is_met_at_the_asked_confidence(sizer: Sizer) -> None:
    sure = Constraints(min_confidence_fraction=0.9)
    found = sizer(**BIG, target=TrainingTarget(deadline_days=90.0), constraints=sure)
    assert found.feasible
    assert found.shortfall is None
    for option in found.options:
        assert p90(option, "time_to_train_days") <= 90.0 * 1.0001
        assert option.confidence_fraction >= 0.9
        assert option.memory_used_gb_gpu <= 0.95 * option.memory_usable_gb_gpu
    assert [o.rank for o in found.options] == list(range(1, len(found.options) + 1))
    assert set(found.pareto) <= {o.rank for o in found.options}


def test_a_looser_deadline_never_needs_more_servers(sizer: Sizer) -> None:
    tight = {o.server: o.servers for o in sizer(**BIG, target=TrainingTarget(deadline_days=60.0)).options}
    loose = {o.server: o.servers for o in sizer(**BIG, target=TrainingTarget(deadline_days=120.0)).options}
    assert tight
    assert set(tight) <= set(loose)
    assert all(loose[server] <= count for server, count in tight.items())
    assert any(loose[server] < count for server, count in tight.items())


def test_a_forbidden_deadline_tells_the_fastest_and_what_limits_it(sizer: Sizer) -> None:
    found = sizer(**BIG, target=TrainingTarget(deadline_days=2.0))
    assert not found.feasible
    assert found.shortfall is not None
    assert found.shortfall.limit is Limit.DEADLINE
    assert found.shortfall.best > found.shortfall.required == 2.0
    assert "fastest reachable" in found.shortfall.relaxation
    assert "limited by" in found.shortfall.relaxation
    assert len({r.server for r in found.rejected}) == len(found.rejected)


def test_a_gpu_count_gives_the_time_with_fewest_idle_gpus_first(sizer: Sizer) -> None:
    """Eight servers of eight are exactly 64; a rack of 72 is not, however fast."""
    found = sizer(target=TrainingTarget(gpus=64), model="llama-3.1-70b")
    keys = [(o.gpus - 64, p50(o, "time_to_train_days")) for o in found.options]
    assert keys == sorted(keys)
    assert found.options[0].gpus == 64
    assert all(o.gpus_instance == 64 for o in found.options)


def test_a_budget_is_kept_and_spent_on_speed(sizer: Sizer, catalog: Catalog, weight: FloatArray) -> None:
    price = dict(zip((s.id for s in catalog.hardware.servers), weight, strict=True))
    poor = sizer(target=TrainingTarget(budget_usd="100000"), model="llama-3.1-70b")
    rich = sizer(target=TrainingTarget(budget_usd="1000000"), model="llama-3.1-70b")
    capped = sizer(
        target=TrainingTarget(budget_usd="1000000"),
        constraints=Constraints(max_budget_usd="100000"),
        model="llama-3.1-70b",
    )
    assert capped.options == poor.options
    assert all(o.servers * price[o.server] <= 100_000.0 for o in poor.options)
    assert p50(rich.options[0], "time_to_train_days") < p50(poor.options[0], "time_to_train_days")


def test_a_model_that_fits_nothing_small_says_how_much_memory_is_missing(sizer: Sizer) -> None:
    only = Constraints(allowed_servers=("poweredge-xe7740-rtx-pro-4500-se",))
    found = sizer(**BIG | {"target": TrainingTarget(gpus=8)}, constraints=only)
    assert not found.feasible
    (mine,) = [r for r in found.rejected if r.limit is not Limit.NOT_ALLOWED]
    assert mine.limit is Limit.MEMORY
    assert mine.required is not None
    assert mine.available is not None
    assert mine.required > mine.available
    assert found.shortfall is not None


def test_a_precision_that_a_gpu_lacks_is_refused(catalog: Catalog) -> None:
    with pytest.raises(UnsupportedWorkloadError, match="fp4") as raised:
        estimate_training(
            training_workload(precision=Precision.FP4),
            Deployment(gpu="h100-sxm", gpus=8),
            hardware=catalog.hardware,
            architecture=catalog.models["llama-3.1-8b"].architecture,
            calibration=catalog.calibration,
        )
    assert [e.field for e in raised.value.detail.errors] == ["deployment.gpu", "workload.precision"]


def test_a_gpu_whose_bandwidth_is_not_known_is_refused(catalog: Catalog) -> None:
    unknown = replace(catalog.hardware.gpu("h100-sxm"), memory_bandwidth_tb_s=None)
    gpus = tuple(unknown if gpu.id == unknown.id else gpu for gpu in catalog.hardware.gpus)
    with pytest.raises(UnsupportedWorkloadError, match=unknown.id) as raised:
        estimate_training(
            training_workload(),
            Deployment(gpu=unknown.id, gpus=8),
            hardware=replace(catalog.hardware, gpus=gpus),
            architecture=catalog.models["llama-3.1-8b"].architecture,
            calibration=catalog.calibration,
        )
    assert [e.field for e in raised.value.detail.errors] == ["deployment.gpu"]


def test_a_gpu_without_bf16_trains_in_fp16_alone(catalog: Catalog) -> None:
    def estimated(precision: Precision) -> Estimate:
        return estimate_training(
            training_workload(precision=precision, method=Method.LORA),
            Deployment(gpu="v100", gpus=8),
            hardware=catalog.hardware,
            architecture=catalog.models["llama-3.1-8b"].architecture,
            calibration=catalog.calibration,
        )

    assert estimated(Precision.FP16).metrics
    with pytest.raises(UnsupportedWorkloadError, match="v100") as raised:
        estimated(Precision.BF16)
    assert [e.field for e in raised.value.detail.errors] == ["deployment.gpu", "workload.precision"]


def test_fp64_does_not_train_a_language_model(sizer: Sizer) -> None:
    with pytest.raises(UnsupportedWorkloadError, match="fp64") as raised:
        sizer(precision=Precision.FP64)
    assert [e.field for e in raised.value.detail.errors] == ["workload.precision"]


def test_an_indivisible_batch_is_an_error_with_a_way_out(sizer: Sizer) -> None:
    with pytest.raises(InvalidRequestError, match="nearest that works"):
        sizer(global_batch_sequences=1000, target=TrainingTarget(gpus=56 * 9))


def test_size_finds_what_estimate_finds(sizer: Sizer, catalog: Catalog) -> None:
    # The search and the estimate are the same physics: the best layout of 64 GPUs is the same from both sides.
    option = next(
        o
        for o in sizer(target=TrainingTarget(gpus=64), model="llama-3.1-70b").options
        if o.server == "poweredge-xe9780-b300"
    )
    workload = training_workload(target=TrainingTarget(gpus=64), model="llama-3.1-70b")
    found = estimate_training(
        workload,
        Deployment(gpu="b300-sxm", gpus=64, server="poweredge-xe9780-b300"),
        hardware=catalog.hardware,
        architecture=catalog.models["llama-3.1-70b"].architecture,
        calibration=catalog.calibration,
    )
    times = {m.name: m.interval.p50 for m in found.metrics}
    assert times["step_time_s"] == pytest.approx(p50(option, "step_time_s"))
    assert found.layout == option.layout


def test_adapters_and_balance_are_told(sizer: Sizer) -> None:
    tuned = sizer(method=Method.LORA, tokens=1e9, model="qwen3-30b-a3b", global_batch_sequences=64)
    told = {a.field: a for a in tuned.assumed}
    assert told["workload.lora_rank"].value == "16"
    assert "experts included" in told["workload.lora_rank"].why
    assert told["training.expert_imbalance_factor"].value == "1.1"
    forced = sizer(tokens=1e9, model="qwen3-30b-a3b", global_batch_sequences=64, expert_imbalance_factor=1.0)
    assert "training.expert_imbalance_factor" not in {a.field for a in forced.assumed}


def test_a_layout_that_was_found_is_estimated_as_it_was_found(sizer: Sizer, catalog: Catalog) -> None:
    """Also where full recompute makes a part of the layers again."""
    changes = {"model": "llama-3.1-70b", "method": Method.SFT, "tokens": 1e9, "global_batch_sequences": 64}
    changes |= {"seq_len_tokens": 32_768, "target": TrainingTarget(gpus=16)}
    found = next(
        o for o in sizer(**changes).options if o.layout.recompute == "full" and (o.layout.recompute_fraction or 1.0) < 1
    )
    layout = found.layout
    names = ("tp", "pp", "vpp", "cp", "ep", "dp", "micro_batch", "recompute_fraction")
    stated = Deployment(
        gpu=found.gpu,
        gpus=16,
        server=found.server,
        recompute=Recompute.FULL,
        sharding=Sharding(str(layout.sharding)),
        **{name: getattr(layout, name) for name in names},
    )
    workload = training_workload(**changes)

    def estimated(deployment: Deployment) -> Estimate:
        return estimate_training(
            workload,
            deployment,
            hardware=catalog.hardware,
            architecture=catalog.models["llama-3.1-70b"].architecture,
            calibration=catalog.calibration,
        )

    again = estimated(stated)
    step = {m.name: m.interval.p50 for m in again.metrics}["step_time_s"]
    assert step == pytest.approx(p50(found, "step_time_s"))
    assert again.memory_used_gb_gpu == pytest.approx(found.memory_used_gb_gpu)
    with pytest.raises(InvalidRequestError, match="recompute to full") as raised:
        estimated(replace(stated, recompute=Recompute.NONE))
    assert [e.field for e in raised.value.detail.errors] == ["deployment.recompute_fraction"]


@pytest.mark.parametrize(
    "target", [TrainingTarget(deadline_days=30.0), TrainingTarget(gpus=64), TrainingTarget(budget_usd="1000000")]
)
def test_the_order_of_the_catalog_changes_nothing(target: TrainingTarget, catalog: Catalog, weight: FloatArray) -> None:
    hardware = catalog.hardware
    backwards = replace(hardware, servers=hardware.servers[::-1], gpus=hardware.gpus[::-1])
    workload = training_workload(model="llama-3.1-70b", target=target)
    there, back = (
        size_training(
            Question(workload=workload),
            catalog.models["llama-3.1-70b"].architecture,
            terms=Terms(hardware=h, calibration=catalog.calibration, weight=w),
        )
        for h, w in ((hardware, weight), (backwards, weight[::-1]))
    )
    assert len(there.options) > 5
    # Servers that a training cannot tell apart tie: they stand in the same order too.
    assert there.options == back.options
    assert set(there.rejected) == set(back.rejected)
    assert (there.pareto, there.sensitivity) == (back.pareto, back.sensitivity)


@pytest.mark.parametrize("method", list(Method))
def test_every_method_has_an_answer(sizer: Sizer, method: Method) -> None:
    found = sizer(method=method, tokens=1e9, global_batch_sequences=64)
    assert found.feasible
    best = found.options[0]
    assert best.storage.capacity_tb > 0
    named = {m.name for m in best.metrics}
    assert {"time_to_train_days", "step_time_s", "tokens_s", "mfu", "goodput_fraction"} <= named
    assert 0.0 < p50(best, "mfu") < 1.0


def test_nothing_in_a_result_is_nan(sizer: Sizer) -> None:
    option = sizer(model="deepseek-v3", target=TrainingTarget(gpus=256), global_batch_sequences=4096).options[0]
    values = [v for m in option.metrics for v in (m.interval.p10, m.interval.p50, m.interval.p90)]
    values += [p.gb for p in option.memory_gb_gpu]
    values += [s.value for s in option.working if isinstance(s.value, float)]
    assert np.all(np.isfinite(values))
    assert sum(p.gb for p in option.memory_gb_gpu) == pytest.approx(option.memory_used_gb_gpu)


@pytest.mark.parametrize(
    ("metric", "step"),
    [("allocated_memory_gb", "allocated_memory_p50_gb"), ("time_to_train_days", "time_to_train_p50_days")],
)
def test_the_working_leads_to_the_median_that_the_answer_shows(sizer: Sizer, metric: str, step: str) -> None:
    """From the sum of the memory's parts to the peak there is a factor, and it has a name."""
    option = sizer(method=Method.SFT, tokens=1e9, target=TrainingTarget(gpus=8)).options[0]
    working = {s.name: s for s in option.working}
    inputs = {q.name: float(q.value or 0.0) for q in working[step].inputs}
    predicted = next(name for name in inputs if name != "measured_over_predicted_factor")
    assert working[step].value == pytest.approx(p50(option, metric), rel=1e-9)
    assert inputs[predicted] * inputs["measured_over_predicted_factor"] == pytest.approx(working[step].value, rel=1e-9)
    assert working["memory_used_gb"].value == pytest.approx(sum(p.gb for p in option.memory_gb_gpu), rel=1e-9)


def test_desktops_that_cannot_be_that_many_are_refused_for_their_number(sizer: Sizer) -> None:
    found = sizer(target=TrainingTarget(gpus=64), model="llama-3.1-8b")
    refused = {r.server: r for r in found.rejected}
    assert refused["dell-pro-max-gb10"].limit is Limit.FLEET
    assert refused["dell-pro-max-gb10"].required == 64


def test_a_batch_that_was_not_sent_is_told_as_it_was_taken(sizer: Sizer) -> None:
    told = {a.field: a for a in sizer(target=TrainingTarget(gpus=7), global_batch_sequences=None).assumed}
    assert told["workload.global_batch_sequences"].value == "1022"
    assert "nearest" in told["workload.global_batch_sequences"].why
    usual = {a.field: a for a in sizer(target=TrainingTarget(gpus=8), global_batch_sequences=None).assumed}
    assert (usual["workload.global_batch_sequences"].value, usual["workload.global_batch_sequences"].why) == (
        "1024",
        "not stated",
    )
    plain = {a.field for a in sizer(target=TrainingTarget(gpus=8), global_batch_sequences=1024).assumed}
    assert "workload.global_batch_sequences" not in plain


def test_a_batch_that_was_sent_is_kept_even_where_it_is_the_usual_one(sizer: Sizer) -> None:
    with pytest.raises(InvalidRequestError, match="nearest that works is 1022"):
        sizer(target=TrainingTarget(gpus=7), global_batch_sequences=1024)


@pytest.mark.parametrize("target", [TrainingTarget(gpus=8), TrainingTarget(deadline_days=60.0)])
def test_a_confidence_that_memory_lowers_says_so(target: TrainingTarget, sizer: Sizer) -> None:
    options = sizer(tokens=1e11, target=target).options
    tight = [option for option in options if any("fits into memory" in note for note in option.notes)]
    assert tight
    for option in tight:
        [told] = [note for note in option.notes if "fits into memory" in note]
        assert told.startswith(f"the confidence is {option.confidence_fraction:.0%} that it fits into memory")
        assert ("deadline" in told) == (target.deadline_days is not None)
    # Where only memory can miss.
    lowered = [option for option in options if target.gpus is not None and option.confidence_fraction < 0.99]
    assert all(option in tight for option in lowered)


def test_pre_training_beyond_the_context_is_told(sizer: Sizer) -> None:
    long = sizer(method=Method.CONTINUED_PRETRAIN, tokens=1e9, global_batch_sequences=64, seq_len_tokens=262_144)
    assert any(a.field == "workload.seq_len_tokens" and "131,072" in a.why for a in long.assumed)


@pytest.mark.parametrize("method", [Method.SFT, Method.LORA, Method.QLORA, Method.DPO, Method.GRPO])
def test_no_model_is_tuned_on_sequences_beyond_its_context(sizer: Sizer, method: Method) -> None:
    changes = {"method": method, "tokens": 1e9, "global_batch_sequences": 64}
    with pytest.raises(InvalidRequestError) as raised:
        sizer(**changes, seq_len_tokens=131_073)
    (error,) = raised.value.detail.errors
    assert (error.field, error.limit) == ("workload.seq_len_tokens", "131072")
    sizer(**changes, seq_len_tokens=131_072)
    sizer(**changes | {"method": Method.CONTINUED_PRETRAIN}, seq_len_tokens=131_073)


def test_a_context_that_nobody_states_is_said_to_be_unknown(catalog: Catalog, weight: FloatArray) -> None:
    architecture = replace(catalog.models["llama-3.1-8b"].architecture, max_context_tokens=None)
    found = size_training(
        Question(workload=training_workload(method=Method.SFT, tokens=1e9, target=TrainingTarget(gpus=8))),
        architecture,
        terms=Terms(hardware=catalog.hardware, calibration=catalog.calibration, weight=weight),
    )
    assert any(a.field == "workload.seq_len_tokens" and "unknown" in a.why for a in found.assumed)


def test_a_prime_batch_is_told_with_one_that_spreads_over_gpus(sizer: Sizer) -> None:
    found = sizer(**{**BIG, "global_batch_sequences": 7919}, target=TrainingTarget(deadline_days=400.0))
    assert any("7936 is the nearest" in one.why for one in found.assumed)
