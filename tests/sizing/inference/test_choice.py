"""Serving mode and weight precision where the engine may choose: by the numbers of each server, and it says so."""

from dataclasses import replace

import pytest

from service.catalog.catalog import Catalog
from service.sizing.precision import Precision
from service.sizing.result import SizingOption, SizingResult
from service.sizing.table import FloatArray
from service.sizing.workload import Demand, InferenceWorkload, Serving, ServingEngine, Slo, TokenLength
from tests.build import inference_workload
from tests.sizing.inference.sizings import sized

B200 = "poweredge-xe9680l-b200"
REASONING = inference_workload(
    model="deepseek-v3",
    isl_tokens=TokenLength(mean=2000.0),
    osl_tokens=TokenLength(mean=2000.0),
    demand=Demand(requests_s=10.0),
    weight_precision=Precision.AUTO,
    kv_precision=Precision.AUTO,
    slo=Slo(ttft_ms=3000.0, tpot_ms=50.0),
)
LONG_PROMPTS = replace(
    REASONING,
    isl_tokens=TokenLength(mean=4000.0),
    osl_tokens=TokenLength(mean=500.0),
    demand=Demand(saturate_gpus=64),
    weight_precision=Precision.FP8,
    kv_precision=Precision.FP8,
    slo=None,
)

# Prompts that would slow decoding down beyond the bound where both share GPUs.
MANY_PROMPTS = replace(
    LONG_PROMPTS,
    model="gpt-oss-120b",
    isl_tokens=TokenLength(mean=8000.0),
    osl_tokens=TokenLength(mean=200.0),
    demand=Demand(saturate_gpus=256),
    slo=Slo(tpot_ms=20.0),
)


def best(result: SizingResult) -> dict[str, SizingOption]:
    """Of each server its best option."""
    return {option.server: option for option in reversed(result.options)}


def note(option: SizingOption, field: str) -> str:
    return next(text for text in option.notes if text.startswith(f"{field}:"))


def carried(option: SizingOption) -> float:
    return next(m.interval.p50 for m in option.metrics if m.name == "output_tokens_s")


@pytest.mark.parametrize("workload", [REASONING, LONG_PROMPTS], ids=["demand", "given GPUs"])
def test_of_every_server_the_better_mode_wins(
    catalog: Catalog, weight: FloatArray, workload: InferenceWorkload
) -> None:
    fixed = replace(workload, weight_precision=Precision.FP8, kv_precision=Precision.FP8)
    either = best(sized(catalog, weight, fixed))
    modes = {
        mode: best(sized(catalog, weight, replace(fixed, serving=mode)))
        for mode in (Serving.AGGREGATED, Serving.DISAGGREGATED)
    }
    assert set(either) == set(modes[Serving.AGGREGATED]) | set(modes[Serving.DISAGGREGATED])
    for server, option in either.items():
        rivals = [found[server] for found in modes.values() if server in found]
        if workload.demand.saturate_gpus is None:
            assert option.servers == min(rival.servers for rival in rivals)
        else:
            assert carried(option) == max(carried(rival) for rival in rivals)
        assert note(option, "serving").startswith(f"serving: {option.mode}")


def test_disaggregated_is_taken_where_it_carries_more_and_says_so(catalog: Catalog, weight: FloatArray) -> None:
    option = best(sized(catalog, weight, MANY_PROMPTS))[B200]
    assert option.mode == "disaggregated"
    assert "for the same output aggregated takes 1." in note(option, "serving")
    assert option.replicas >= 2


def test_an_option_for_speed_does_not_pass_for_what_its_mode_takes(catalog: Catalog, weight: FloatArray) -> None:
    """The fewest servers of either mode are compared, and beside them stands what the speed takes."""
    workload = replace(MANY_PROMPTS, demand=Demand(requests_s=200.0), serving=Serving.AUTO)
    result = sized(catalog, weight, workload)
    fewest = {
        mode: {
            server: option.servers
            for server, option in best(sized(catalog, weight, replace(workload, serving=mode))).items()
        }
        for mode in (Serving.AGGREGATED, Serving.DISAGGREGATED)
    }
    told = 0
    for option in result.options:
        least = fewest[Serving(option.mode)].get(option.server)
        if least is not None and option.servers > least:
            assert f"{option.mode} takes {least:g} server" in note(option, "serving")
            assert any(n.startswith(f"{option.servers} servers for the speed") for n in option.notes)
            told += 1
    assert told


def test_given_gpus_carry_no_more_than_the_prefill_pool_feeds(catalog: Catalog, weight: FloatArray) -> None:
    """A decode instance alone would carry more than the one prefill instance beside it."""
    asked = replace(MANY_PROMPTS, slo=None, demand=Demand(saturate_gpus=2), serving=Serving.DISAGGREGATED)
    option = best(sized(catalog, weight, asked))[B200]
    assert option.prefill is not None
    assert option.decode is not None
    step = {s.name: float(s.value or 0.0) for s in option.working if s.name in {"prefill_ms", "requests_s_instance"}}
    busy = step["requests_s_instance"] * option.decode.instances * step["prefill_ms"] / 1000.0
    ranks = option.prefill.instances * option.prefill.attention_dp * option.prefill.pp
    assert busy <= ranks


@pytest.mark.parametrize("concurrency", [50.0, 300.0])
@pytest.mark.parametrize("model", ["llama-3.1-70b", "llama-3.1-8b"])
def test_whole_pools_keep_the_slo_that_they_were_sized_for(
    catalog: Catalog, weight: FloatArray, model: str, concurrency: float
) -> None:
    """Fewer requests than a decode instance holds still come at nearly its full rate, and all of them are prefilled."""
    asked = replace(
        MANY_PROMPTS,
        model=model,
        isl_tokens=TokenLength(mean=1000.0),
        osl_tokens=TokenLength(mean=500.0),
        demand=Demand(concurrency=concurrency),
        slo=Slo(ttft_ms=2500.0, tpot_ms=100.0, percentile=99.0),
        serving=Serving.DISAGGREGATED,
    )
    options = sized(catalog, weight, asked).options
    assert options
    assert min(option.confidence_fraction for option in options) >= 0.8


def test_of_equals_aggregated_stands(catalog: Catalog, weight: FloatArray) -> None:
    workload = inference_workload(model="llama-3.1-8b", demand=Demand(requests_s=0.1))
    for option in best(sized(catalog, weight, workload)).values():
        assert option.mode == "aggregated"
        if "disaggregated 1" in note(option, "serving"):
            assert "measured far more often" in note(option, "serving")


def test_a_mode_that_was_asked_for_needs_no_reason(catalog: Catalog, weight: FloatArray) -> None:
    for mode in (Serving.AGGREGATED, Serving.DISAGGREGATED):
        result = sized(catalog, weight, replace(REASONING, serving=mode, weight_precision=Precision.FP8))
        assert {option.mode for option in result.options} == {str(mode)}
        assert not any(text.startswith(("serving:", "weight_precision:")) for o in result.options for text in o.notes)


def test_no_mode_is_assumed(catalog: Catalog, weight: FloatArray) -> None:
    assert "workload.serving" not in {one.field for one in sized(catalog, weight, REASONING).assumed}


def test_a_narrower_published_format_is_taken_where_it_saves_more_than_a_tenth(
    catalog: Catalog, weight: FloatArray
) -> None:
    chosen = best(sized(catalog, weight, REASONING))
    asked = {
        precision: best(sized(catalog, weight, replace(REASONING, weight_precision=precision)))
        for precision in (Precision.FP8, Precision.FP4)
    }
    assert {option.weight_precision for option in chosen.values()} == {"fp8", "fp4"}
    for server, option in chosen.items():
        takes = {str(name): found[server].servers for name, found in asked.items() if server in found}
        least = min(takes.values())
        widest = next(name for name in ("fp8", "fp4") if takes.get(name, 1e9) <= 1.1 * least)
        assert (option.weight_precision, option.servers) == (widest, takes[widest])
        assert note(option, "weight_precision").startswith(f"weight_precision: {widest} takes {option.servers} server")


def test_how_much_a_wider_format_may_cost_is_an_assumption(catalog: Catalog, weight: FloatArray) -> None:
    name = "inference.wider_precision_cost_fraction"
    assumptions = catalog.calibration.assumptions
    generous = replace(catalog.calibration, assumptions={**assumptions, name: replace(assumptions[name], value=10.0)})
    result = sized(catalog, weight, REASONING, calibration=generous, allowed_servers=(B200,))
    assert result.options[0].weight_precision == "fp8"
    assert sized(catalog, weight, REASONING, allowed_servers=(B200,)).options[0].weight_precision == "fp4"


def test_what_was_chosen_is_said_with_the_reason(catalog: Catalog, weight: FloatArray) -> None:
    result = sized(catalog, weight, REASONING)
    said = {one.value: one.why for one in result.assumed if one.field == "workload.weight_precision"}
    assert set(said) == {option.weight_precision for option in result.options}
    assert "a checkpoint in FP4 is published" in said["fp4"]
    assert said["fp8"].endswith("; of fp8, fp4 the widest that takes at most 10% more than the one that takes least")


@pytest.mark.parametrize(
    ("model", "formats"),
    [
        # Published in FP8: nothing wider. No checkpoint known: FP8. Experts published in MXFP4: those.
        ("deepseek-v3", {"fp8", "fp4"}),
        ("llama-3.1-405b", {"fp8"}),
        ("gpt-oss-120b", {"fp4"}),
        # An FP8 checkpoint is known, none in FP4.
        ("llama-3.1-70b", {"bf16", "fp8"}),
    ],
)
def test_no_format_is_taken_that_nobody_publishes(
    catalog: Catalog, weight: FloatArray, model: str, formats: set[str]
) -> None:
    options = sized(catalog, weight, replace(REASONING, model=model)).options
    assert options
    assert {option.weight_precision for option in options} <= formats


def test_sixteen_bit_is_kept_where_it_costs_no_more(catalog: Catalog, weight: FloatArray) -> None:
    workload = replace(REASONING, model="llama-3.1-70b", demand=Demand(requests_s=0.1))
    option = best(sized(catalog, weight, workload))[B200]
    assert (option.weight_precision, option.servers) == ("bf16", 1)
    assert note(option, "weight_precision") == "weight_precision: bf16 takes 1 server, fp8 1"


def test_a_format_that_the_gpu_lacks_is_no_rival(catalog: Catalog, weight: FloatArray) -> None:
    gpus = tuple(replace(gpu, fp4_dense_tflops=None) if gpu.id == "b200-sxm" else gpu for gpu in catalog.hardware.gpus)
    plain = replace(catalog, hardware=replace(catalog.hardware, gpus=gpus))
    option = best(sized(plain, weight, REASONING))[B200]
    assert option.weight_precision == "fp8"
    assert not any("fp4" in text for text in option.notes)


def user_speed(options: list[SizingOption], confidence: float) -> float:
    """The most that a user gets at this confidence, 90 % or 50 %."""
    found = [m.interval for option in options for m in option.metrics if m.name == "tokens_s_user"]
    return max((i.p10 if confidence > 0.5 else i.p50 for i in found), default=0.0)


# Intervals of disaggregated serving are the wider ones: at 90 % little is left of what it gains at 50 %.
@pytest.mark.parametrize(
    ("lengths", "users", "confidence", "mode"),
    [((120_000.0, 40.0), 1500.0, 0.5, "disaggregated"), ((300.0, 800.0), 300.0, 0.9, "aggregated")],
)
def test_a_faster_plan_that_takes_as_much_is_offered_whatever_its_mode(
    catalog: Catalog, weight: FloatArray, *, lengths: tuple[float, float], users: float, confidence: float, mode: str
) -> None:
    """Of equals aggregated serving stands, and what is faster at the asked confidence is not equal."""
    workload = inference_workload(
        model="nemotron-3-nano-30b-a3b",
        isl_tokens=TokenLength(mean=lengths[0]),
        osl_tokens=TokenLength(mean=lengths[1]),
        demand=Demand(users=users),
        slo=None,
        engine=ServingEngine.SGLANG,
    )
    apart, together, either = (
        sized(catalog, weight, replace(workload, serving=serving), min_confidence_fraction=confidence).options
        for serving in (Serving.DISAGGREGATED, Serving.AGGREGATED, Serving.AUTO)
    )
    found = set()
    for server in {o.server for o in apart if o.servers == 1} & {o.server for o in together if o.servers == 1}:
        mine, theirs, offered = (
            [o for o in options if o.server == server and o.servers == 1] for options in (apart, together, either)
        )
        ahead = user_speed(mine, confidence) / user_speed(theirs, confidence)
        # Nearer than that is a tie: modes are weighed before each plan is operated at its share of the load.
        if ahead > 1.05:
            assert user_speed(offered, 0.5) >= user_speed(mine, 0.5)
            assert any("faster at the asked confidence" in note(o, "serving") for o in offered)
            found.add("disaggregated")
        elif ahead < 0.95:
            assert {o.mode for o in offered} <= {"aggregated"}
            found.add("aggregated")
    assert mode in found
