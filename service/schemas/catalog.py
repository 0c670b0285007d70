"""Records of config/ -> specs of the engine, each with its fact sheet."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from marshmallow import ValidationError, fields, post_load

from service.schemas.architecture import ArchitectureSchema
from service.schemas.fact import Fact, FactBasis, FactField, FactSheet, stated
from service.schemas.issue import Issue
from service.schemas.strict import Amount, Choice, Count, Flag, StrictSchema, Text
from service.sizing.architecture import ModelArchitecture
from service.sizing.hardware import (
    Cooling,
    CpuServerSpec,
    FacilityPreset,
    GpuSpec,
    RackSpec,
    ScaleUp,
    ServerSpec,
    StorageSpec,
    SwitchSpec,
)

_OPTIONAL: dict[str, Any] = {"load_default": None, "allow_none": True}


def amount(low: float, high: float, *, above: bool = False, known: bool = False) -> FactField:
    """A fact that is a number in this range."""
    return FactField(Amount("", low=low, high=high, above=above), known=known)


def positive(high: float, *, known: bool = False) -> FactField:
    """A fact that is a number above zero."""
    return amount(0, high, above=True, known=known)


def whole(low: int, high: int, *, known: bool = False) -> FactField:
    """A fact that is a whole number in this range."""
    return FactField(Count("", low=low, high=high), known=known)


class Details(fields.Dict):
    """Facts beyond those the engine reads: name -> fact of any value."""

    def __init__(self) -> None:
        super().__init__(keys=Text("", longest=60), values=FactField(fields.Raw()), load_default=dict)


class SourceSchema(StrictSchema):
    """Where values come from; a title that names a person gets a neutral description."""

    what = Text("What it is.", longest=400, required=True)
    url = Text("Where it is.", longest=600, **_OPTIONAL)
    date = Text("When it was published or read.", longest=20, **_OPTIONAL)

    @post_load
    def _say(self, data: dict[str, Any], **_: Any) -> str:
        extra = ", ".join(part for part in (data["url"], data["date"]) if part)
        return f"{data['what']} ({extra})" if extra else str(data["what"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A record as the engine wants it, and as people want to check it."""

    spec: Any
    sheet: FactSheet


class HardwareSchema(StrictSchema):
    """A record whose numbers are facts; `spec` is the dataclass that the engine reads."""

    spec: ClassVar[type]
    # Fields of the record that the dataclass does not have.
    without: ClassVar[tuple[str, ...]] = ()

    id = Text("Id.", longest=60, required=True)
    name = Text("What people call it.", required=True)
    details = Details()

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Loaded:
        details = data.pop("details")
        facts = [
            dataclasses.replace(value, field=name) if isinstance(value, Fact) else stated(name, value)
            for name, value in data.items()
            if name not in {"id", "name"}
        ]
        facts += [dataclasses.replace(fact, field=name) for name, fact in details.items()]
        values = {
            name: value.value if isinstance(value, Fact) else value
            for name, value in data.items()
            if name not in self.without
        }
        sheet = FactSheet(id=data["id"], name=data["name"], facts=tuple(facts))
        return Loaded(spec=self.spec(**values), sheet=sheet)


class GpuSchema(HardwareSchema):
    """One GPU package."""

    spec = GpuSpec

    reference = Flag("Not offered; measured runs need it.", required=True)
    memory_gb = positive(10_000, known=True)
    memory_usable_gib = positive(10_000)
    memory_bandwidth_tb_s = positive(1000)
    fp64_dense_tflops = positive(1e7)
    fp64_tensor_dense_tflops = positive(1e7)
    fp32_dense_tflops = positive(1e7)
    tf32_dense_tflops = positive(1e7)
    bf16_dense_tflops = positive(1e7)
    fp16_dense_tflops = positive(1e7)
    fp8_dense_tflops = positive(1e7)
    fp4_dense_tflops = positive(1e7)
    int8_dense_tflops = positive(1e7)
    nvlink_gb_s = positive(1e5)
    pcie_gb_s = positive(1e4)
    tdp_w = positive(1e5)
    compute_capability = FactField(Text("", longest=10))


class ServerSchema(HardwareSchema):
    """One orderable configuration."""

    spec = ServerSpec

    family = Text("The chassis.", longest=60, required=True)
    sku = Text("The Dell SKU, where one is known.", longest=60, required=True, allow_none=True)
    orderable = Flag("It has a SKU.", required=True)
    reference = Flag("Not offered; measured runs need it.", required=True)
    gpu = FactField(Text("Id of its GPU.", longest=60), known=True)
    gpus = whole(1, 1024, known=True)
    scale_up = FactField(Choice("What links its GPUs.", ScaleUp), known=True)
    cooling = FactField(Choice("How it is cooled.", Cooling), known=True)
    nvlink_domain_gpus = whole(1, 1024, known=True)
    nic_gbit_s_gpu = positive(1e5, known=True)
    rack_units = positive(60)
    plan_power_kw = positive(1000)
    max_power_w = positive(1e6)
    weight_kg = positive(1e5)
    cpu_cores = whole(1, 100_000)
    max_memory_tb = positive(1000)
    liquid_heat_fraction = amount(0, 1)
    servers_rack = whole(1, 100)
    # Only a system whose GPUs show another amount than the GPU record says so.
    gpu_memory_usable_gib = FactField(Amount("", low=0, high=10_000, above=True), required=False)
    nodes = FactField(Count("", low=1, high=100), required=False)
    nics_node = FactField(Count("", low=1, high=64), required=False)


class CpuServerSchema(HardwareSchema):
    """A server without GPUs."""

    spec = CpuServerSpec

    family = Text("The chassis.", longest=60, required=True)
    sku = Text("The Dell SKU, where one is known.", longest=60, required=True, allow_none=True)
    orderable = Flag("It has a SKU.", required=True)
    cooling = FactField(Choice("How it is cooled.", Cooling), known=True)
    rack_units = positive(60, known=True)
    cpu_cores = whole(1, 100_000, known=True)
    plan_power_kw = positive(1000)
    max_power_w = positive(1e6)
    weight_kg = positive(1e5)
    max_memory_tb = positive(1000)


class SwitchSchema(HardwareSchema):
    """A network switch."""

    spec = SwitchSpec

    fabric = Text("What it switches.", longest=60, required=True)
    family = Text("The product line.", longest=30, required=True)
    preferred_rank = Count("Among switches with as many ports the lowest is taken.", low=1, high=99, load_default=9)
    ports = whole(1, 10_000)
    port_gbit_s = positive(1e5)
    plan_power_w = positive(1e6)
    rack_units = positive(60)


class RackSchema(HardwareSchema):
    """A rack."""

    spec = RackSpec

    cooling = Choice("How what stands in it is cooled.", Cooling, required=True)
    rack_units = positive(100)
    max_kw = positive(10_000)


class StorageSchema(HardwareSchema):
    """A storage building block."""

    spec = StorageSpec

    read_gb_s = positive(1e6)
    write_gb_s = positive(1e6)
    capacity_tb = positive(1e7)
    rack_units = positive(100)
    plan_power_w = positive(1e7)
    front_end_gb_s = FactField(Amount("", low=0, high=1e6, above=True), required=False)
    nodes_least = FactField(Count("", low=1, high=1000), required=False)


class FacilitySchema(HardwareSchema):
    """What a site is taken to be until the caller says otherwise."""

    spec = FacilityPreset

    without: ClassVar[tuple[str, ...]] = ("id", "name")

    pue_air = amount(1, 5, known=True)
    pue_liquid = amount(1, 5, known=True)
    air_rack_max_kw = positive(10_000, known=True)
    liquid_rack_max_kw = positive(10_000, known=True)
    rack_units_usable = positive(100, known=True)
    switch_rack_units = positive(20, known=True)
    feed_kw = positive(1000, known=True)
    feed_sides = whole(1, 4, known=True)
    cdu_kw = positive(10_000, known=True)
    rack_cdu_kw = positive(10_000, known=True)


class PublishedSchema(StrictSchema):
    """Totals that the publisher states; they may count towers that the architecture leaves out."""

    total_params_b = Amount("", low=0, high=1e6, above=True, required=True, allow_none=True)
    active_params_b = Amount("", low=0, high=1e6, above=True, required=True, allow_none=True)
    basis = Choice("How they are known.", FactBasis, required=True)


class OverrideSchema(StrictSchema):
    """One field that is known in another way than the rest of its file."""

    basis = Choice("How it is known.", FactBasis, required=True)
    note = Text("What to mind.", longest=400, **_OPTIONAL)


class WindowedSchema(StrictSchema):
    """A windowed cache."""

    window = Count("", low=1, high=100_000_000, required=True)
    elements_per_token = Amount("", low=0, high=1e12, required=True)


class DerivedSchema(StrictSchema):
    """Counts that the gatherers of the zoo computed; the tests hold our own arithmetic against them."""

    total_b = Amount("", low=0, high=1e6, above=True, required=True)
    active_b = Amount("", low=0, high=1e6, above=True, required=True)
    matmul_b = Amount("", low=0, high=1e6, above=True, required=True)
    mixer_b = Amount("", low=0, high=1e6, required=True)
    kv_elements_per_token = Amount("", low=0, high=1e12, required=True)
    kv_windowed = fields.List(fields.Nested(WindowedSchema), required=True)
    state_elements_per_sequence = Amount("", low=0, high=1e15, required=True)
    conv_state_elements_per_sequence = Amount("", low=0, high=1e15, required=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """One file of config/models."""

    architecture: ModelArchitecture
    family: str
    aliases: tuple[str, ...]
    usable: bool
    released: str | None
    tuned_at_release: bool
    basis: str
    source: str
    notes: str | None
    published: Mapping[str, Any]
    overrides: Mapping[str, Mapping[str, Any]]
    layer_pattern: str | None
    checkpoints: Mapping[str, Any]
    derived: Mapping[str, Any]


class ModelFileSchema(StrictSchema):
    """A model of the zoo: an architecture with its names and where it is from."""

    id = Text("Id.", longest=80, required=True)
    family = Text("Models that share a config class.", longest=40, required=True)
    kind = fields.String(required=True)
    usable = Flag("False: its layers are not known well enough to size it.", required=True)
    aliases = fields.List(Text("", longest=80), required=True)
    released = Text("When it was published.", longest=10, required=True, allow_none=True)
    tuned_at_release = Flag("True: serving engines had kernels made for it when it came out.", load_default=False)
    source = fields.Nested(SourceSchema, required=True)
    basis = Choice("How the architecture is known.", FactBasis, required=True)
    overrides = fields.Dict(keys=Text("", longest=60), values=fields.Nested(OverrideSchema), required=True)
    notes = Text("What to mind.", longest=600, required=True, allow_none=True)
    published = fields.Nested(PublishedSchema, required=True)
    layer_pattern = Text("Order of the layers.", longest=1000, required=True, allow_none=True)
    checkpoints = fields.Dict(keys=Text("", longest=120), values=fields.Dict(), required=True)
    architecture = fields.Nested(ArchitectureSchema, required=True)
    derived = fields.Nested(DerivedSchema, required=True)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> LoadedModel:
        encoder = data.pop("kind") == "encoder"
        architecture = dataclasses.replace(data.pop("architecture"), id=data.pop("id"))
        if architecture.encoder != encoder:
            raise ValidationError({"kind": [Issue("kind and architecture.encoder disagree.")]})
        known = {field.name for field in dataclasses.fields(ModelArchitecture)} | set(PublishedSchema().fields)
        known |= {"tuned_at_release"}
        if strange := sorted(set(data["overrides"]) - known):
            raise ValidationError({"overrides": {name: [Issue("There is no such field.")] for name in strange}})
        return LoadedModel(architecture=architecture, **{**data, "aliases": tuple(data["aliases"])})


class NotSizedSchema(StrictSchema):
    """A model of a kind that is not sized."""

    id = Text("Id.", longest=80, required=True)
    kind = Text("What it is.", longest=40, required=True)
    aliases = fields.List(Text("", longest=80), required=True)
