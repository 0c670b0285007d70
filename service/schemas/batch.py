"""Batches as answers: counts and progress, items with their answers in short, and what a dry run tells."""

from collections.abc import Mapping
from typing import Any

import orjson
from marshmallow import fields

from service.schemas.plain import Tuple, count, decimal, figure, flag, many, one, text
from service.schemas.result import ShortfallSchema
from service.schemas.run import PageSchema, moment
from service.schemas.stored import StoredJson
from service.schemas.words import WordedSchema

_OPTIONAL: dict[str, Any] = {"allow_none": True}
STATUSES = ("accepted", "running", "done", "cancelled")
STATES = ("queued", "running", "done", "infeasible", "refused", "failed", "cancelled")


class BatchCountsSchema(WordedSchema):
    """How many items are in each state; together they are all."""

    queued = count("Wait for a worker.")
    running = count("Lie with a worker.")
    done = count("Sized, and something fits.")
    infeasible = count("Sized, and nothing fits: the answer says what would.")
    refused = count("Wrong as they were sent: their error says what.")
    failed = count("Could not be sized: their error says why.")
    cancelled = count("Were open when the batch was cancelled.")


class BatchSchema(WordedSchema):
    """Workloads that were posted together, and how far they are."""

    id = text("Id of the batch.")
    name = text("Its name.", **_OPTIONAL)
    status = fields.String(required=True, metadata={"description": "Never goes backwards.", "enum": list(STATUSES)})
    items = count("How many items were sent, wrong ones included.")
    counts = one(BatchCountsSchema, "The items by state.")
    reused_items = count("Items whose question had an answer already: it was sized once for all of them.")
    progress_fraction = figure("Share of the items that have come to an end.")
    rate_items_s = figure(
        "Items per second of late, and of the whole batch once it has ended; null while nothing is known.", **_OPTIONAL
    )
    left_s = figure(
        "Seconds until the last item at this rate; null while nothing is known or nobody works on it, and at the end.",
        **_OPTIONAL,
    )
    principal = text("Who posted it.")
    created_at = moment("When it was posted.")
    started_at = moment("When a worker first took a part of it.", **_OPTIONAL)
    finished_at = moment("When its last item came to an end, or it was cancelled.", **_OPTIONAL)


class BatchPageSchema(PageSchema):
    """Batches, newest first."""

    items = many(BatchSchema, "The batches of this page.")


class ItemFieldErrorSchema(WordedSchema):
    """One wrong field of an item."""

    field = text("Where it is.")
    message = text("What is wrong.")
    value = fields.String(metadata={"description": "What was sent."})
    limit = fields.String(metadata={"description": "What is allowed."})
    did_you_mean = fields.List(fields.String(), metadata={"description": "The nearest known names."})


class ItemErrorSchema(WordedSchema):
    """Why an item was refused or failed."""

    code = text("Stable code: those of problems, and of failed runs.")
    message = text("In words.")
    errors = Tuple(fields.Nested(ItemFieldErrorSchema), required=True, metadata={"description": "Each wrong field."})


class BriefMetricSchema(WordedSchema):
    """One predicted quantity; the key that leads here ends in its unit."""

    p10 = figure("One measurement in ten would lie below.")
    p50 = figure("The median.")
    p90 = figure("One measurement in ten would lie above.")
    basis = text("measured, calibrated or extrapolated.")


class BriefFacilitySchema(WordedSchema):
    """Power and space of an option in short."""

    it_power_kw = figure("Power of servers and switches, to plan with.", **_OPTIONAL)
    facility_power_kw = figure("IT power times PUE.", **_OPTIONAL)
    racks = count("Racks.", **_OPTIONAL)
    rack_power_kw = figure("Power of the fullest rack of servers, the switches in it included.", **_OPTIONAL)
    cooling = text("air or liquid.")
    weight_kg = figure("Weight of all servers.", **_OPTIONAL)
    energy_kwh_year = figure("Energy of a year at the meter.", **_OPTIONAL)


class BriefCostSchema(WordedSchema):
    """Indicative cost of an option in short."""

    currency = text("Currency of every amount.")
    total_usd = decimal("Sum of the priced parts; null when the server has no price.", **_OPTIONAL)
    complete = flag("Whether every server has a price, those without GPUs included.", **_OPTIONAL)
    not_in_total = fields.List(
        fields.String(),
        metadata={
            "description": "Parts that the option takes and total_usd is without: those that have no price, and what "
            "is paid by the year or the kWh. Older answers do not tell."
        },
    )
    low_usd = decimal("Lower end of the sources.", **_OPTIONAL)
    high_usd = decimal("Upper end of the sources.", **_OPTIONAL)
    usd_per_million_tokens = decimal("Cost of a million tokens.", **_OPTIONAL)
    usd_per_run = decimal("Cost of one run of the job.", **_OPTIONAL)
    usd_per_target = decimal("Cost of one unit of scientific work.", **_OPTIONAL)


class BriefOptionSchema(WordedSchema):
    """The recommended option in short."""

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
    layout = fields.Dict(
        keys=fields.String(),
        values=fields.Raw(metadata={"type": ["integer", "string"]}),
        required=True,
        metadata={"description": "Layout of one instance; degrees that are left out are 1."},
    )
    mode = text("How it runs, such as aggregated or disaggregated.")
    weight_precision = text("Number format of the weights.", **_OPTIONAL)
    kv_precision = text("Number format of the KV cache.", **_OPTIONAL)
    precision = text("Number format of the arithmetic.", **_OPTIONAL)
    batch = figure("Sequences in flight per instance.", **_OPTIONAL)
    metrics = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(BriefMetricSchema),
        required=True,
        metadata={"description": "Predictions by name, each an 80 % interval with its median."},
    )
    confidence_fraction = figure("Probability that the target is met.")
    memory_used_gb_gpu = figure("Memory used on the fullest GPU.")
    memory_usable_gb_gpu = figure("Memory usable on it.")
    bottleneck = text("What binds.")
    facility = one(BriefFacilitySchema, "Power and space.")
    cost = one(BriefCostSchema, "Indicative cost; null when the option was not priced.", **_OPTIONAL)


class BriefAnswerSchema(WordedSchema):
    """What a batch keeps of an answer; the same question as a workload gets all of it, with its working."""

    kind = text("Kind of workload.")
    feasible = flag("Whether anything meets the target; if not, shortfall says what would.")
    option = one(BriefOptionSchema, "The recommended option; null when nothing fits.", **_OPTIONAL)
    shortfall = one(ShortfallSchema, "Why nothing fits; null when something does.", **_OPTIONAL)
    engine_version = text("Version of the engine.")
    catalog_version = text("Digest of the facts.")
    calibration_version = text("Version of the calibration.")
    price_book_digest = text("Digest of the price book.", **_OPTIONAL)
    digest = text("Identity of the question under these versions.")


class BatchItemSchema(WordedSchema):
    """One item of a batch."""

    line = count("Line of the upload on which it begins, counted from 1; in a JSON list its place.")
    state = fields.String(required=True, metadata={"description": "How far it is.", "enum": list(STATES)})
    name = text("Its name.", **_OPTIONAL)
    kind = text("Kind of its workload; null until it was read, and where it was refused.", **_OPTIONAL)
    digest = text("Identity of its question; null until it was read, and where it was refused.", **_OPTIONAL)
    attempts = count(
        "How often it was begun alone, after workers had died over its chunk, or stopped without having computed."
    )
    error = StoredJson(
        "Why it was refused or failed; null otherwise.", ItemErrorSchema, attribute="problem", **_OPTIONAL
    )
    answer = StoredJson("The answer in short; null while there is none.", BriefAnswerSchema, **_OPTIONAL)


class BatchItemPageSchema(PageSchema):
    """Items of a batch, in the order of their lines."""

    items = many(BatchItemSchema, "The items of this page.")


class DryRunRefusalSchema(WordedSchema):
    """An item that would be refused."""

    line = count("Line of the upload on which it begins, counted from 1; in a JSON list its place.")
    error = StoredJson("What is wrong with it.", ItemErrorSchema, attribute="problem")


class DryRunSchema(WordedSchema):
    """What would become of an upload; nothing was kept of it."""

    items = count("How many items it has.")
    accepted = count("Items that would be sized.")
    refused = count("Items that would be refused.")
    refusals = many(DryRunRefusalSchema, "The refused items, at most the first hundred.")


_BATCH = BatchSchema()


def batch_json(batch: Any) -> bytes:
    """A batch as BatchSchema writes it."""
    written: Mapping[str, Any] = _BATCH.dump(batch)
    return orjson.dumps(written)


def item_line(item: Any) -> bytes:
    """An item as BatchItemSchema writes it, on a line of its own; what is kept as JSON is not read for it."""
    head = orjson.dumps({name: getattr(item, name) for name in ("line", "state", "name", "kind", "digest", "attempts")})
    error, answer = ((part or "null").encode() for part in (item.problem, item.answer))
    return b'%b,"error":%b,"answer":%b}\n' % (head[:-1], error, answer)
