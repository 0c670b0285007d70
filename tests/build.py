"""One builder per dataclass: a plain, valid value, with the changes that a test is about."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from service.quoting.bom import Bom, BomLine
from service.quoting.bom_rules import Charge
from service.quoting.book import Book, ListPrice
from service.quoting.prices import PartKind
from service.quoting.terms import QuoteTerms
from service.sizing.interval import Basis, Interval, Metric
from service.sizing.precision import Precision
from service.sizing.result import FacilityPlan, NetworkPlan, ParallelLayout, SizingOption, StoragePlan
from service.sizing.workload import (
    Constraints,
    Demand,
    Deployment,
    InferenceWorkload,
    Question,
    Slo,
    TokenLength,
)


def inference_workload(**changes: Any) -> InferenceWorkload:
    """Chat on a 70B model in FP8."""
    plain = InferenceWorkload(
        model="llama-3.1-70b",
        isl_tokens=TokenLength(mean=2048.0),
        osl_tokens=TokenLength(mean=256.0),
        demand=Demand(requests_s=20.0),
        weight_precision=Precision.FP8,
        kv_precision=Precision.FP8,
        slo=Slo(ttft_ms=4000.0, tpot_ms=60.0),
    )
    return replace(plain, **changes)


def deployment(**changes: Any) -> Deployment:
    """Eight B200."""
    return replace(Deployment(gpu="b200-sxm", gpus=8, tp=8), **changes)


def constraints(**changes: Any) -> Constraints:
    """No limits, 80 % confidence."""
    return replace(Constraints(), **changes)


def question(workload: InferenceWorkload | None = None, **limits: Any) -> Question:
    """A workload with constraints."""
    return Question(workload=workload or inference_workload(), constraints=constraints(**limits))


def metric(name: str, value: float) -> Metric:
    """A prediction without scatter."""
    return Metric(name=name, interval=Interval(p10=value, p50=value, p90=value), basis=Basis.MEASURED)


def sizing_option(**changes: Any) -> SizingOption:
    """Four air-cooled servers of eight B300 that serve 10,000 tokens a second, with the network between the GPUs."""
    plain = SizingOption(
        rank=1,
        server="poweredge-xe9780-b300",
        server_name="Dell PowerEdge XE9780, 8x B300",
        sku=None,
        orderable=False,
        gpu="b300-sxm",
        servers=4,
        spare_servers=1,
        gpus=32,
        gpus_instance=8,
        replicas=3,
        layout=ParallelLayout(tp=8),
        mode="aggregated",
        weight_precision="fp8",
        kv_precision="fp8",
        precision=None,
        batch=64.0,
        metrics=(metric("output_tokens_s", 10_000.0),),
        confidence_fraction=0.9,
        memory_gb_gpu=(),
        memory_used_gb_gpu=200.0,
        memory_usable_gb_gpu=260.0,
        bottleneck="memory bandwidth",
        utilisation=(),
        network=NetworkPlan(
            fabric="ethernet",
            pattern="2-8-9-800",
            nic_gbit_s_gpu=800.0,
            leaf_switches=6,
            spine_switches=0,
            switch="powerswitch-z9864f-on",
            optics=64,
            switch_power_kw=9.0,
            note="",
        ),
        storage=StoragePlan(capacity_tb=1.5, read_gb_s=2.0, write_gb_s=None, note=""),
        facility=FacilityPlan(
            it_power_kw=70.0,
            facility_power_kw=107.8,
            pue=1.54,
            racks=2,
            servers_rack=3,
            rack_power_kw=45.0,
            rack_units=40.0,
            cooling="air",
            weight_kg=600.0,
        ),
        requirements=(),
        notes=(),
        working=(),
    )
    return replace(plain, **changes)


def bom_line(**changes: Any) -> BomLine:
    """One server, paid once."""
    plain = BomLine(
        id="server",
        rule="server",
        part="server",
        kind=PartKind.SERVER,
        name="A server",
        quantity=1,
        unit="server",
        charge=Charge.ONE_TIME,
        months=0,
        sku=None,
        orderable=False,
        why="1 server by the sizing",
        basis="inferred",
        sources=("the sizing",),
        configuration=(),
        included_quantity=0,
        included_months=None,
        disputed=None,
        note=None,
    )
    return replace(plain, **changes)


def yearly_line(**changes: Any) -> BomLine:
    """Support of one server for three years."""
    yearly = {"id": "support", "rule": "support", "part": "support", "kind": PartKind.SUPPORT, "unit": "server-year"}
    return bom_line(**{**yearly, "charge": Charge.YEARLY, "months": 36, **changes})


def bom(*lines: BomLine, **changes: Any) -> Bom:
    """A bill for three years."""
    return replace(Bom(lines=lines, uncounted=(), term_months=36, rules_digest="sha256:rules"), **changes)


# How price books call one of what is paid by the year.
_YEARLY_UNITS = dict.fromkeys(("support", "software", "prosupport"), "server-year") | {
    "nvidia-ai-enterprise": "GPU-year"
}


def seller_book(prices: Mapping[str, str | None], *, units: Mapping[str, str] = _YEARLY_UNITS, **changes: Any) -> Book:
    """A seller's book in USD: part -> price."""
    lines = {
        part: ListPrice(
            part=part,
            kind=PartKind.SERVER,
            unit=units.get(part, "piece"),
            list_price=None if price is None else Decimal(price),
        )
        for part, price in prices.items()
    }
    plain = Book(
        id="book-1",
        name="House book",
        date="2026-11-01",
        version=1,
        currency="USD",
        indicative=False,
        digest="sha256:book",
        lines=lines,
    )
    return replace(plain, **changes)


def book_lines(quoted: Iterable[Mapping[str, Any]], price: str, *, without: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Lines of a price book for every part of quoted lines, at one price."""
    parts = {line["part"]: (line["kind"], line["unit"]) for line in quoted}
    return [
        {"part": part, "kind": kind, "unit": unit, "list_price": None if part in without else price}
        for part, (kind, unit) in parts.items()
    ]


def quote_terms(**changes: Any) -> QuoteTerms:
    """USD, three years, no discount."""
    return replace(QuoteTerms(currency="USD", term_months=36), **changes)
