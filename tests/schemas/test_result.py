"""Answers on the wire: every member of every dataclass is written and read back, and money stays exact."""

import dataclasses
from decimal import Decimal

import pytest
from marshmallow import Schema, fields

from service.quoting.indicative import CostLine, IndicativeCost, PricedResult
from service.schemas.estimate import DeploymentSchema, EstimateSchema
from service.schemas.plain import AnswerSchema
from service.schemas.result import OptionSchema, PricedResultSchema, PricedSchema, WorkedOptionSchema
from service.sizing.interval import Basis, Interval, Metric
from service.sizing.result import (
    Assumed,
    FacilityPlan,
    Limit,
    MemoryPart,
    NetworkPlan,
    ParallelLayout,
    Quantity,
    Rejection,
    Sensitivity,
    Shortfall,
    SizingOption,
    SizingResult,
    StoragePlan,
    WorkingStep,
)


def subclasses(kind):
    for child in kind.__subclasses__():
        if child.__module__.startswith("service."):
            yield child
            yield from subclasses(child)


ANSWERS = sorted(
    {schema for schema in subclasses(AnswerSchema) if schema.__module__ != "service.schemas.run"},
    key=lambda schema: schema.__name__,
)
# Members that a schema keeps elsewhere, or adds to its dataclass.
ELSEWHERE = {"OptionSchema": {"working"}, "PricedOptionSchema": {"working"}}
ADDED = {
    "PricedOptionSchema": {"cost"},
    "WorkedOptionSchema": {"cost"},
    "EstimateAnswerSchema": {"catalog_version", "calibration_version"},
}


def member_names(schema: Schema) -> set[str]:
    return {(field.attribute or name).split(".")[0] for name, field in schema.fields.items()}


@pytest.mark.parametrize("schema", ANSWERS, ids=lambda schema: schema.__name__)
def test_an_answer_has_every_member_of_its_dataclass(schema):
    expected = {field.name for field in dataclasses.fields(schema.record)}
    expected = expected - ELSEWHERE.get(schema.__name__, set()) | ADDED.get(schema.__name__, set())
    assert member_names(schema()) == expected


def test_a_result_has_every_member_of_its_dataclasses():
    expected = {field.name for field in dataclasses.fields(SizingResult)} - {"options"}
    assert member_names(PricedSchema()) == expected | {"price_book_name", "price_book_date"}


def test_a_deployment_has_every_member_of_its_dataclass():
    known = {field.name for field in dataclasses.fields(DeploymentSchema.record)}
    # What the name of published software tells is nothing that a caller states.
    assert member_names(DeploymentSchema()) == known - {"compiled"}


def option(rank: int) -> SizingOption:
    return SizingOption(
        rank=rank,
        server="xe9680l-b200",
        server_name="PowerEdge XE9680L",
        sku=None,
        orderable=False,
        gpu="b200-sxm",
        servers=2,
        spare_servers=1,
        gpus=16,
        gpus_instance=8,
        replicas=2,
        layout=ParallelLayout(tp=8, micro_batch=None, recompute="selective"),
        mode="aggregated",
        weight_precision="fp8",
        kv_precision="fp8",
        precision=None,
        batch=64.0,
        metrics=(
            Metric(
                name="ttft_ms", interval=Interval(p10=1.5, p50=2, p90=3.25), basis=Basis.CALIBRATED, nearest=("a", "b")
            ),
        ),
        confidence_fraction=0.8,
        memory_gb_gpu=(MemoryPart(part="kv_cache", gb=10.0), MemoryPart(part="weights", gb=70.5)),
        memory_used_gb_gpu=80.5,
        memory_usable_gb_gpu=179.06,
        bottleneck="memory",
        utilisation=(Quantity(name="compute_fraction", value=0.3), Quantity(name="unknown_fraction", value=None)),
        network=NetworkPlan(
            fabric="ethernet",
            pattern=None,
            nic_gbit_s_gpu=400.0,
            leaf_switches=2,
            spine_switches=None,
            switch="sn5600",
            optics=None,
            switch_power_kw=None,
            note="",
        ),
        storage=StoragePlan(capacity_tb=1.5, read_gb_s=None, write_gb_s=2.0, note="n"),
        facility=FacilityPlan(
            it_power_kw=None,
            facility_power_kw=None,
            pue=1.3,
            racks=None,
            servers_rack=2,
            rack_power_kw=28.4,
            rack_units=10.0,
            cooling="air",
            weight_kg=None,
            liquid_heat_kw=24.7,
        ),
        requirements=(Quantity(name="host_cores", value=64.0),),
        notes=("first", "second"),
        working=(
            WorkingStep(
                name="weights",
                value=70.5,
                unit="gb",
                formula="a x b",
                inputs=(Quantity(name="params_b", value=70.0),),
                source="s",
            ),
            WorkingStep(name="mode", value="aggregated", unit="", formula="", inputs=(), source=""),
            WorkingStep(name="nothing", value=None, unit="", formula="", inputs=(), source=""),
        ),
    )


def cost(rank: int) -> IndicativeCost:
    known = {field.name: None for field in dataclasses.fields(CostLine)}
    line = CostLine(
        **{
            **known,
            "part": "xe9680l-b200",
            "name": "PowerEdge",
            "quantity": 2,
            "unit": "system",
            "included": True,
            "unit_price_usd": Decimal("300000.10"),
            "total_usd": Decimal("600000.20"),
            "note": "n",
        }
    )
    return IndicativeCost(
        rank=rank,
        indicative=True,
        price_book_name="list",
        price_book_date="2026-11-01",
        currency="USD",
        total_usd=Decimal("600000.20"),
        low_usd=None,
        high_usd=Decimal("12345678901234567890.12"),
        lines=(line,),
        missing=("support",),
        term_months=36,
        utilisation_fraction=Decimal("0.6"),
        usd_per_million_tokens=Decimal("0.0123456"),
        usd_per_run=Decimal("1E+3"),
        usd_per_target=None,
        note="n",
    )


def result(**changes) -> PricedResult:
    sizing = SizingResult(
        kind="inference",
        feasible=True,
        options=(option(1), option(2)),
        pareto=(1,),
        rejected=(Rejection(server="s", limit=Limit.MEMORY, candidates=3, detail="d", required=1.5, unit="gb"),),
        shortfall=None,
        sensitivity=(Sensitivity(assumption="a", low=0.1, high=0.2, metric="servers", at_low=1, at_high=2),),
        assumed=(Assumed(field="slo", value="none", why="it was left out"),),
        candidates=1000,
        engine_version="0.1.0",
    )
    return PricedResult(
        result=dataclasses.replace(sizing, **changes),
        costs=(cost(1),),
        price_book_name="list",
        price_book_date="2026-11-01",
    )


SHORTFALL = Shortfall(
    limit=Limit.TTFT,
    server="s",
    required=1.0,
    best=2.0,
    unit="ms",
    distance_fraction=1.0,
    relaxation="ask for less",
    more_gpus_help=False,
)


@pytest.mark.parametrize(
    "priced",
    [result(), result(feasible=False, options=(), pareto=(), shortfall=SHORTFALL)],
    ids=["feasible", "nothing fits"],
)
def test_a_result_reads_back_into_what_it_was(priced):
    schema = PricedResultSchema()
    back = schema.load(schema.dump(priced))
    assert back.result == priced.result
    assert back.costs == (priced.costs if priced.result.options else ())


def test_money_on_the_wire_is_exact_text():
    written = PricedResultSchema().dump(result())["options"][0]["cost"]
    assert written["total_usd"] == "600000.20"
    assert written["high_usd"] == "12345678901234567890.12"
    assert written["usd_per_run"] == "1000"
    assert written["low_usd"] is None


def test_an_option_without_a_price_has_no_cost():
    assert PricedResultSchema().dump(result())["options"][1]["cost"] is None


def test_metrics_and_memory_are_objects_by_name():
    written = PricedResultSchema().dump(result())["options"][0]
    assert written["metrics"]["ttft_ms"] == {
        "p10": 1.5,
        "p50": 2,
        "p90": 3.25,
        "basis": "calibrated",
        "nearest": ["a", "b"],
    }
    assert written["memory_gb_gpu"] == {"kv_cache": 10, "weights": 70.5}
    assert written["utilisation"] == {"compute_fraction": 0.3, "unknown_fraction": None}


def test_callers_read_no_working():
    assert "working" not in OptionSchema().fields
    assert isinstance(WorkedOptionSchema().fields["working"], fields.List)
    assert "working" in EstimateSchema().fields


def test_an_answer_of_an_older_engine_is_still_read():
    """Runs of two engines are compared; the older one named no pools."""
    written = PricedResultSchema().dump(result())
    for option in written["options"]:
        del option["prefill"], option["decode"]
    read = PricedResultSchema().load(written)
    assert read.result.options
    assert all(option.prefill is None and option.decode is None for option in read.result.options)


@pytest.mark.parametrize(
    ("total_usd", "missing", "complete"),
    [("100.00", ["rack"], True), ("100.00", ["cpu-server", "rack"], False), (None, ["poweredge-xe9680"], False)],
)
def test_a_cost_of_an_older_engine_is_whole_where_no_server_is_missing_from_it(total_usd, missing, complete):
    written = PricedResultSchema().dump(result())
    cost = written["options"][0]["cost"]
    del cost["complete"]
    cost |= {"total_usd": total_usd, "missing": missing}
    assert PricedResultSchema().load(written).costs[0].complete is complete
