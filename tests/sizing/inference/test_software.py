"""How long a serving engine had known a model when a run took place, and what that costs."""

import math
from dataclasses import replace

import pytest

from service.catalog.catalog import Catalog
from service.sizing.inference.load import model_load
from service.sizing.inference.overheads import newness_of, overheads_of
from service.sizing.inference.software import since_release_years, software_of
from service.sizing.precision import Precision
from service.sizing.workload import ServingEngine


@pytest.mark.parametrize(
    ("software", "released", "years"),
    [
        ("2026-01", "2025-01", 1.0),
        ("2026-01", "2025", 7 / 12),
        # Nothing runs before it is out: whoever says so had an early copy.
        ("2025-01", "2025-04", 0.0),
        ("2026-01", None, math.inf),
    ],
)
def test_software_knows_a_model_since_that_came_out(
    catalog: Catalog, software: str, released: str | None, years: float
) -> None:
    engine = software_of(ServingEngine.SGLANG, software, catalog.calibration)
    assert since_release_years(engine, released) == pytest.approx(years)


def test_a_model_is_slower_the_newer_it_is_to_the_software(catalog: Catalog) -> None:
    """And one that a caller brings, whose day nobody knows, is as one that engines have tuned."""
    load = model_load(catalog.models["deepseek-v3"].architecture, weight=Precision.FP8, kv=Precision.FP8)
    known = catalog.models["deepseek-v3"].architecture.released
    assert known == "2024-12"
    months = ("2024-12", "2025-06", "2026-06")
    engines = [software_of(ServingEngine.SGLANG, month, catalog.calibration) for month in months]
    news = [newness_of(load, engine, catalog.calibration) for engine in engines]
    assert news == pytest.approx([1.0, math.exp(-1.0), math.exp(-3.0)])
    parts = [overheads_of(load, engine, catalog.calibration).untuned_fraction for engine in engines]
    assert 0.0 < parts[2] < parts[1] < parts[0] < 1.0
    # Prompts of a new model launch its unfused kernels one by one; engines are as old as each other but for that.
    launched = [
        overheads_of(load, engine, catalog.calibration).prefill_kernel_s
        / overheads_of(load, replace(engine, month=10**6), catalog.calibration).prefill_kernel_s
        for engine in engines
    ]
    assert 1.0 < launched[2] < launched[1] < launched[0] < 3.0


def test_a_model_whose_kernels_came_out_with_it_was_never_new(catalog: Catalog) -> None:
    load = model_load(catalog.models["gpt-oss-120b"].architecture, weight=Precision.FP4, kv=Precision.BF16)
    engine = software_of(ServingEngine.VLLM, catalog.models["gpt-oss-120b"].released, catalog.calibration)
    assert newness_of(load, engine, catalog.calibration) == 0.0
    overheads = overheads_of(load, engine, catalog.calibration)
    assert overheads.untuned_fraction == 0.0
    later = overheads_of(load, replace(engine, month=10**6), catalog.calibration)
    assert overheads.prefill_kernel_s == later.prefill_kernel_s


def test_prompts_are_replayed_from_graphs_since_an_engine_has_them_and_never_those_of_latents(catalog: Catalog) -> None:
    def replayed(model: str, engine: ServingEngine, month: str | None) -> float:
        load = model_load(catalog.models[model].architecture, weight=Precision.FP8, kv=Precision.FP8)
        return overheads_of(
            load, software_of(engine, month, catalog.calibration), catalog.calibration
        ).replayed_fraction

    assert replayed("qwen3.6-35b-a3b", ServingEngine.SGLANG, None) == 1.0
    assert replayed("qwen3.6-35b-a3b", ServingEngine.SGLANG, "2026-06") == 0.0
    assert replayed("qwen3.6-35b-a3b", ServingEngine.VLLM, None) == 0.0
    for latent in ("deepseek-v3", "deepseek-v3.2", "deepseek-v4-flash"):
        assert replayed(latent, ServingEngine.SGLANG, None) == 0.0


def test_engines_that_were_compiled_replay_prompts_and_never_those_of_latents(catalog: Catalog) -> None:
    engine = software_of(ServingEngine.TENSORRT_LLM, "2025-08", catalog.calibration, compiled=True)
    for model, replayed in (("llama-2-70b", 1.0), ("deepseek-v3", 0.0)):
        load = model_load(catalog.models[model].architecture, weight=Precision.FP8, kv=Precision.FP8)
        assert overheads_of(load, engine, catalog.calibration).replayed_fraction == replayed


def test_each_engine_schedules_as_many_sequences_as_its_default_says(catalog: Catalog) -> None:
    most = {engine: software_of(engine, None, catalog.calibration).scheduled_sequences for engine in ServingEngine}
    assert most[ServingEngine.TENSORRT_LLM] == 2048
    assert most[ServingEngine.VLLM] == most[ServingEngine.SGLANG] == 1024


def test_clients_stay_in_step_only_under_engines_that_take_prompts_first(catalog: Catalog) -> None:
    load = model_load(catalog.models["deepseek-v3"].architecture, weight=Precision.FP8, kv=Precision.FP8)
    shares = {
        engine: overheads_of(load, software_of(engine, None, catalog.calibration), catalog.calibration).in_step_fraction
        for engine in ServingEngine
    }
    assert shares.pop(ServingEngine.SGLANG) > 0.5
    assert set(shares.values()) == {0.0}
