"""A priced sizing result on the wire and at rest: the same schema writes the answer, the database and the cache."""

from typing import Any

from marshmallow import Schema, fields, post_load

from service.schemas.plain import AnswerSchema, ByName, Figures, Tuple, count, figure, flag, many, one, text, texts
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
    StoragePlan,
    WorkingStep,
)

_OPTIONAL: dict[str, Any] = {"allow_none": True}


def metrics_field() -> ByName:
    """The metrics of an option or an estimate."""
    return ByName("Predictions by name, each an 80 % interval with its median.", MetricSchema, Metric, key="name")


def memory_field() -> Figures:
    """The memory of an option or an estimate."""
    return Figures("Memory of the fullest GPU, by part.", MemoryPart, key="part", value="gb")


def figures_field(what: str) -> Figures:
    """An open-ended list of named numbers."""
    return Figures(what, Quantity, key="name", value="value")


class MetricSchema(Schema):
    """One predicted quantity; the key that leads here ends in its unit."""

    p10 = figure("One measurement in ten would lie below.", attribute="interval.p10")
    p50 = figure("The median.", attribute="interval.p50")
    p90 = figure("One measurement in ten would lie above.", attribute="interval.p90")
    basis = fields.Enum(Basis, by_value=True, required=True, metadata={"description": "How it is known."})
    nearest = texts("The nearest measured points, by id.")

    @post_load
    def _interval(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {**data, "interval": Interval(**data["interval"])}


class LayoutSchema(AnswerSchema):
    """Degrees of parallelism of one model instance."""

    record = ParallelLayout

    tp = count("Tensor parallelism.")
    pp = count("Pipeline parallelism.")
    dp = count("Data parallelism of training; serving copies are replicas.")
    ep = count("Expert parallelism.")
    cp = count("Context parallelism.")
    attention_dp = count("Data parallelism of the attention part.")
    vpp = count("Virtual pipeline stages per GPU.")
    micro_batch = count("Sequences per step and rank.", **_OPTIONAL)
    recompute = text("Which activations are computed again.", **_OPTIONAL)
    sharding = text("Which training states are sharded.", **_OPTIONAL)


class WorkingStepSchema(AnswerSchema):
    """One line of the working."""

    record = WorkingStep

    name = text("What was computed.")
    value = fields.Raw(required=True, allow_none=True, metadata={
        "description": "A number, or a word where the step is a choice.", "type": ["number", "string", "null"]})
    unit = text("Unit of the value; empty for a pure number.")
    formula = text("By which formula.")
    inputs = figures_field("From what.")
    source = text("Where the formula and its coefficients are from.")


class NetworkSchema(AnswerSchema):
    """The fabric between servers; null where the facts do not allow a count."""

    record = NetworkPlan

    fabric = text("Kind of fabric.")
    pattern = text("Reference pattern.", **_OPTIONAL)
    nic_gbit_s_gpu = figure("Network bandwidth per GPU.")
    leaf_switches = count("Leaf switches.", **_OPTIONAL)
    spine_switches = count("Spine switches.", **_OPTIONAL)
    switch = text("The switch, by id.", **_OPTIONAL)
    optics = count("Optical modules.", **_OPTIONAL)
    switch_power_kw = figure("Power of the switches.", **_OPTIONAL)
    note = text("What to know about it.")


class StorageSchema(AnswerSchema):
    """What the workload asks of storage."""

    record = StoragePlan

    capacity_tb = figure("Capacity.")
    read_gb_s = figure("Read throughput.", **_OPTIONAL)
    write_gb_s = figure("Write throughput.", **_OPTIONAL)
    note = text("What to know about it.")


class FacilitySchema(AnswerSchema):
    """Power, cooling and space; null where a server's figure is unknown."""

    record = FacilityPlan

    it_power_kw = figure("Power of servers and switches, to plan with.", **_OPTIONAL)
    facility_power_kw = figure("IT power times PUE.", **_OPTIONAL)
    pue = figure("Power usage effectiveness.")
    racks = count("Racks.", **_OPTIONAL)
    servers_rack = count("Servers in one rack.", **_OPTIONAL)
    rack_power_kw = figure("Power of the fullest rack.", **_OPTIONAL)
    rack_units = figure("Rack units of all servers.", **_OPTIONAL)
    cooling = text("air or liquid.")
    weight_kg = figure("Weight of all servers.", **_OPTIONAL)


class OptionSchema(AnswerSchema):
    """One feasible answer, ranked; its working has an address of its own."""

    record = SizingOption

    rank = count("1 is recommended.")
    server = text("Server configuration, by id.")
    server_name = text("Its name.")
    sku = text("Dell SKU where one is known, else an internal code.", **_OPTIONAL)
    orderable = flag("Whether the SKU can be ordered.")
    gpu = text("GPU, by id.")
    servers = count("Servers, spare ones included.")
    spare_servers = count("Servers beyond what the load needs.")
    gpus = count("GPUs of all servers.")
    gpus_instance = count("GPUs of one instance of the model or job.")
    replicas = count("Independent copies.")
    layout = one(LayoutSchema, "Layout of one instance.")
    mode = text("How it runs, such as aggregated or disaggregated.")
    weight_precision = text("Number format of the weights.", **_OPTIONAL)
    kv_precision = text("Number format of the KV cache.", **_OPTIONAL)
    precision = text("Number format of the arithmetic.", **_OPTIONAL)
    batch = figure("Sequences in flight per instance.", **_OPTIONAL)
    metrics = metrics_field()
    confidence_fraction = figure("Probability that the target is met.")
    memory_gb_gpu = memory_field()
    memory_used_gb_gpu = figure("Memory used on the fullest GPU.")
    memory_usable_gb_gpu = figure("Memory usable on it.")
    bottleneck = text("What binds.")
    utilisation = figures_field("Shares of what the hardware could do.")
    network = one(NetworkSchema, "The fabric between servers.")
    storage = one(StorageSchema, "What the workload asks of storage.")
    facility = one(FacilitySchema, "Power, cooling and space.")
    requirements = figures_field("What else the workload asks for.")
    notes = texts("What to know about this option.")


class StoredOptionSchema(OptionSchema):
    """An option with its working, as it is kept."""

    working = many(WorkingStepSchema, "Every quantity, its formula, its inputs and their sources, in order.")


class RejectionSchema(AnswerSchema):
    """Why a server does not appear among the options."""

    record = Rejection

    server = text("Server, by id.")
    limit = fields.Enum(Limit, by_value=True, required=True, metadata={"description": "The limit that binds."})
    candidates = count("How many of its candidates fell to it.")
    detail = text("In words.")
    required = figure("What would be needed.", **_OPTIONAL)
    available = figure("What there is.", **_OPTIONAL)
    unit = text("Unit of both.")


class ShortfallSchema(AnswerSchema):
    """Nothing fits: which limit binds, how far off, and the cheapest change that would make it fit."""

    record = Shortfall

    limit = fields.Enum(Limit, by_value=True, required=True, metadata={"description": "The limit that binds."})
    server = text("The server that comes nearest.")
    required = figure("What would be needed.")
    best = figure("The best there is.")
    unit = text("Unit of both.")
    distance_fraction = figure("How far off, as a share of what is needed.")
    relaxation = text("The cheapest change that would make it fit.")
    more_gpus_help = flag("Whether more GPUs would help.")


class SensitivitySchema(AnswerSchema):
    """How the recommended option moves when one assumption moves between its bounds."""

    record = Sensitivity

    assumption = text("The assumption, by id.")
    low = figure("Its lower bound.")
    high = figure("Its upper bound.")
    metric = text("What moves.")
    at_low = figure("The metric at the lower bound.")
    at_high = figure("The metric at the upper bound.")


class AssumedSchema(AnswerSchema):
    """A default or an assumption that the answer rests on."""

    record = Assumed

    field = text("Which field or assumption.")
    value = text("Its value.")
    why = text("Why this value.")
    source = text("Where it is from; empty for a default.")


class SizingResultSchema(Schema):
    """Everything of a result but its options and prices."""

    kind = text("Kind of workload.")
    feasible = flag("Whether anything meets the target; if not, shortfall says what would.")
    pareto = Tuple(fields.Integer(), required=True, metadata={
        "description": "Ranks of the options that no other beats in cost, speed and power at once."})
    rejected = many(RejectionSchema, "Servers that do not appear, and why.")
    shortfall = one(ShortfallSchema, "Why nothing fits; null when something does.", **_OPTIONAL)
    sensitivity = many(SensitivitySchema, "Which assumptions move the answer most.")
    assumed = many(AssumedSchema, "Defaults and assumptions that the answer rests on.")
    candidates = count("How many candidates were judged.")
    engine_version = text("Version of the engine.")
