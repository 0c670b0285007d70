"""A priced sizing result on the wire and at rest: the same schema writes the answer, the database and the cache."""

from typing import Any

from marshmallow import fields, post_load, pre_load

from service.quoting.indicative import CostLine, IndicativeCost, PricedResult
from service.schemas.plain import (
    AnswerSchema,
    ByName,
    Figures,
    Tuple,
    count,
    decimal,
    figure,
    flag,
    many,
    one,
    text,
    texts,
)
from service.schemas.plans import FacilitySchema, NetworkSchema, StorageSchema
from service.schemas.words import WordedSchema
from service.sizing.interval import Basis, Interval, Metric
from service.sizing.result import (
    Assumed,
    Limit,
    MemoryPart,
    ParallelLayout,
    PoolPlan,
    Quantity,
    Rejection,
    Sensitivity,
    Shortfall,
    SizingOption,
    SizingResult,
    WorkingStep,
)

_OPTIONAL: dict[str, Any] = {"allow_none": True}
_OLD_CPU_SERVER = "cpu-server"
VERSION_FIELDS = ("catalog_version", "calibration_version", "price_book_digest", "digest")


def metrics_field() -> ByName:
    """The metrics of an option or an estimate."""
    return ByName("Predictions by name, each an 80 % interval with its median.", MetricSchema, Metric, key="name")


def memory_field() -> Figures:
    """The memory of an option or an estimate."""
    return Figures("Memory of the fullest GPU, by part.", MemoryPart, key="part", value="gb")


def memory_used_field() -> fields.Float:
    """The sum of the parts, and what the metric of the same name has beside it."""
    return figure(
        "Memory used on the fullest GPU: the sum of its parts. peak_memory_gb of a training is this times the median "
        "of measured over predicted, a factor that its working names."
    )


def figures_field(what: str) -> Figures:
    """An open-ended list of named numbers."""
    return Figures(what, Quantity, key="name", value="value")


class MetricSchema(WordedSchema):
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
    recompute_fraction = figure("Share of the layers that full recompute makes again.", **_OPTIONAL)
    sharding = text("Which training states are sharded.", **_OPTIONAL)

    @pre_load
    def _older(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Answers of older engines are kept, and made all layers again or none."""
        return {"recompute_fraction": None, **data}


class PoolPlanSchema(AnswerSchema):
    """The instances of one side of disaggregated serving, all of one layout."""

    record = PoolPlan

    instances = count("Model instances in the pool.")
    tp = count("Tensor parallelism of an instance.")
    pp = count("Pipeline parallelism of an instance.")
    ep = count("Expert parallelism of an instance.")
    attention_dp = count("Data parallelism of its attention part.")


class WorkingStepSchema(AnswerSchema):
    """One line of the working."""

    record = WorkingStep

    name = text("What was computed.")
    value = fields.Raw(
        required=True,
        allow_none=True,
        metadata={
            "description": "A number, or a word where the step is a choice.",
            "type": ["number", "string"],
        },
    )
    unit = text("Unit of the value; empty for a pure number.")
    formula = text("By which formula.")
    inputs = figures_field("From what.")
    source = text("Where the formula and its coefficients are from.")


def pool_field(does: str) -> fields.Nested:
    """One side of disaggregated serving."""
    return one(PoolPlanSchema, f"The instances that only {does}; null unless mode is disaggregated.", **_OPTIONAL)


class OptionSchema(AnswerSchema):
    """One feasible answer, ranked; its working has an address of its own."""

    record = SizingOption

    rank = count("1 is recommended.")
    server = text("Server configuration, by id.")
    server_name = text("Its name.")
    sku = text("Dell SKU where one is known, else the id of the server.", **_OPTIONAL)
    orderable = flag("Whether a Dell SKU is known.")
    gpu = text("GPU, by id.")
    servers = count("Servers, spare ones included.")
    spare_servers = count("Servers beyond what the load needs.")
    gpus = count("GPUs of all servers.")
    gpus_instance = count("GPUs of one instance of the model or job.")
    replicas = count("Independent copies.")
    layout = one(LayoutSchema, "Layout of one instance.")
    mode = text("How it runs, such as aggregated or disaggregated.")
    prefill = pool_field("prefill")
    decode = pool_field("decode")
    weight_precision = text("Number format of the weights.", **_OPTIONAL)
    kv_precision = text("Number format of the KV cache.", **_OPTIONAL)
    precision = text("Number format of the arithmetic.", **_OPTIONAL)
    batch = figure("Sequences in flight per instance.", **_OPTIONAL)
    metrics = metrics_field()
    confidence_fraction = figure("Probability that the target is met.")
    memory_gb_gpu = memory_field()
    memory_used_gb_gpu = memory_used_field()
    memory_usable_gb_gpu = figure("Memory usable on it.")
    bottleneck = text("What binds.")
    utilisation = figures_field("Shares of what the hardware could do.")
    network = one(NetworkSchema, "The fabric between servers.")
    storage = one(StorageSchema, "What the workload asks of storage.")
    facility = one(FacilitySchema, "Power, cooling and space.")
    requirements = figures_field("What else the workload asks for.")
    notes = texts("What to know about this option.")

    @pre_load
    def _older(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Answers of older engines are kept, and named no pools."""
        return {"prefill": None, "decode": None, **data}


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
    required = figure("What is required: the bound that was set, or what the workload takes.")
    best = figure("The best that is reached: of a bound that was set the least at which this limit would not bind.")
    unit = text("Unit of both.")
    distance_fraction = figure("How far off, as a share of what is required.")
    relaxation = text("What would make it fit. Values that would do were tried, and may be typed back as they stand.")
    more_gpus_help = flag(
        "Whether a number of GPUs binds that was given or is the most: with more of them it would fit."
    )


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


class CostLineSchema(AnswerSchema):
    """One part of a cost."""

    record = CostLine

    part = text("The part, by id.")
    name = text("Its name.")
    quantity = count("How many.")
    unit = text("Of what.")
    included = flag("Whether it is in the total.")
    unit_price_usd = decimal("List price of one; null where the book has none.", **_OPTIONAL)
    total_usd = decimal("Price of all; null where the book has none.", **_OPTIONAL)
    low_usd = decimal("Lower end of the sources.", **_OPTIONAL)
    high_usd = decimal("Upper end of the sources.", **_OPTIONAL)
    note = text("What to know about it.")


class CostSchema(AnswerSchema):
    """Indicative list cost of an option: an order of magnitude, never a quote."""

    record = IndicativeCost

    rank = count("Rank of the option.")
    indicative = flag("Whether the book is one of public list prices.")
    price_book_name = text("Name of the price book.")
    price_book_date = text("Date of the price book.")
    currency = text("Currency of every amount.")
    total_usd = decimal("Sum of the included lines that have a price; null when the server has none.", **_OPTIONAL)
    complete = flag(
        "Whether every server has a price, those without GPUs included. If not, the sum is without some of what does "
        "the work; other parts without a price are in `missing` alone."
    )
    low_usd = decimal("Lower end of the sources.", **_OPTIONAL)
    high_usd = decimal("Upper end of the sources.", **_OPTIONAL)
    lines = many(CostLineSchema, "Part by part.")
    missing = texts("Parts without a price.")
    term_months = count("Months over which unit costs are spread.")
    utilisation_fraction = decimal("Share of the term that is used.")
    usd_per_million_tokens = decimal("Cost of a million tokens.", **_OPTIONAL)
    usd_per_run = decimal("Cost of one run of the job.", **_OPTIONAL)
    usd_per_target = decimal(
        "Cost of one unit of scientific work; null where a server that does a part of it has no price.", **_OPTIONAL
    )
    note = text("What is in it and what is not.")

    @pre_load
    def _summed(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Costs of older engines did not say whether they are complete: none was that lacks the price of a server.

        Servers without GPUs had none at all then, and stood among the missing parts under one name.
        """
        complete = data.get("total_usd") is not None and _OLD_CPU_SERVER not in data.get("missing", ())
        return {"complete": complete, **data}


class PricedOptionSchema(OptionSchema):
    """One feasible answer, ranked, with its cost; its working has an address of its own."""

    cost = one(CostSchema, "Indicative cost; null when the option was not priced.", **_OPTIONAL)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Any:
        cost = data.pop("cost")
        return self.record(**{"working": (), **data}), cost


class PricedSchema(WordedSchema):
    """A result without its options."""

    kind = text("Kind of workload.")
    feasible = flag("Whether anything meets the target; if not, shortfall says what would.")
    pareto = Tuple(
        fields.Integer(),
        required=True,
        metadata={"description": "Ranks of the options that no other beats in cost, speed and power at once."},
    )
    rejected = many(RejectionSchema, "Servers that do not appear, and why.")
    shortfall = one(ShortfallSchema, "Why nothing fits; null when something does.", **_OPTIONAL)
    sensitivity = many(
        SensitivitySchema, "Which assumptions move the answer most; those that do not move it are left out."
    )
    assumed = many(AssumedSchema, "Defaults and assumptions that the answer rests on.")
    candidates = count("How many candidates were judged.")
    engine_version = text("Version of the engine.")
    price_book_name = text("Name of the price book.")
    price_book_date = text("Date of the price book.")

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """The price book stands beside the sizing; an option is shown with its cost."""
        if attr == "options":
            costs = {cost.rank: cost for cost in obj.costs}
            return [_Priced(option, costs.get(option.rank)) for option in obj.result.options]
        source = obj if attr.startswith("price_book_") else obj.result
        return getattr(source, attr, default)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> PricedResult:
        for version in VERSION_FIELDS:
            data.pop(version, None)
        pairs = data.pop("options")
        book = {name: data.pop(name) for name in ("price_book_name", "price_book_date")}
        result = SizingResult(**data, options=tuple(option for option, _ in pairs))
        return PricedResult(result=result, costs=tuple(cost for _, cost in pairs if cost is not None), **book)


class _Priced:
    """An option that also has a cost, for as long as it is written."""

    def __init__(self, option: SizingOption, cost: IndicativeCost | None) -> None:
        self._option, self.cost = option, cost

    def __getattr__(self, name: str) -> Any:
        return getattr(self._option, name)


class WorkedOptionSchema(PricedOptionSchema):
    """An option with its cost and its working."""

    working = many(WorkingStepSchema, "Every quantity, its formula, its inputs and their sources, in order.")


class PricedResultSchema(PricedSchema):
    """A result with the working of its options: all that the engine found."""

    options = many(WorkedOptionSchema, "Feasible answers, best first.")


class ResultSchema(PricedSchema):
    """A result as callers read it and as it is kept, under the versions that it was found with."""

    options = many(PricedOptionSchema, "Feasible answers, best first.")
    catalog_version = text("Digest of the facts.")
    calibration_version = text("Version of the calibration.")
    price_book_digest = text("Digest of the price book.", **_OPTIONAL)
    digest = text("Identity of the question under these versions.")
