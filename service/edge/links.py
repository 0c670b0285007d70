"""Links of the OpenAPI document: from an answer to what can be asked next, with the ids that the answer holds."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_ID = "$response.body#/id"
_WORKLOAD_ID = "$response.body#/workload_id"
_FIRST_ID = "$response.body#/items/0/id"
_CURSOR = "$response.body#/next_cursor"
_SCHEMA = "#/components/schemas/"
_NEXT = "next"


@dataclass(frozen=True, slots=True)
class Link:
    """Where an answer leads: an operation, and its parameters as runtime expressions or constants."""

    operation: str
    description: str
    parameters: dict[str, str] = field(default_factory=dict)


def _of_run(run_id: str, workload_id: str) -> dict[str, Link]:
    of_run, of_workload = {"run_id": run_id}, {"workload_id": workload_id}
    return {
        "run": Link("getRun", "The run, with its result once it is done.", of_run),
        "cancel": Link("cancelRun", "End the run while it is open.", of_run),
        "working": Link("getOptionWorking", "How the recommended option was found.", {**of_run, "rank": "1"}),
        "difference": Link(
            "getRunDifference", "What changed since the run: here, nothing.", of_run | {"other_id": run_id}
        ),
        "workload": Link("getWorkload", "The workload that the run answers.", of_workload),
        "runs": Link("listWorkloadRuns", "Every run of the workload.", of_workload),
    }


def _of_workload(workload_id: str) -> dict[str, Link]:
    of_workload = {"workload_id": workload_id}
    return {
        "workload": Link("getWorkload", "The workload.", of_workload),
        "change": Link("putWorkload", "Change the workload: a new version with a new run.", of_workload),
        "archive": Link("deleteWorkload", "Archive the workload.", of_workload),
        "runs": Link("listWorkloadRuns", "Every run of the workload.", of_workload),
        "versions": Link("listWorkloadVersions", "Every version of the workload.", of_workload),
        "first": Link("getWorkloadVersion", "The workload as it was posted.", {**of_workload, "number": "1"}),
    }


def _of_price_book(price_book_id: str) -> dict[str, Link]:
    of_book = {"price_book_id": price_book_id}
    return {
        "price_book": Link("getPriceBook", "The book with its lines.", of_book),
        "activate": Link("activatePriceBook", "Put the book in force.", of_book),
    }


def _of_quote(quote_id: str) -> dict[str, Link]:
    of_quote = {"quote_id": quote_id}
    return {
        "quote": Link("getQuote", "The revision.", of_quote),
        "json": Link("getQuoteJson", "What it says, to the byte.", of_quote),
        "submit": Link("submitQuote", "Ask for its approval.", of_quote),
        "issue": Link("issueQuote", "Issue it once it is approved.", of_quote),
        "revisions": Link("listQuoteRevisions", "All revisions of its number.", of_quote),
        "difference": Link(
            "getQuoteDifference",
            "What changed since the revision: here, nothing.",
            of_quote | {"other_quote_id": quote_id},
        ),
    }


def _of_batch(batch_id: str) -> dict[str, Link]:
    of_batch = {"batch_id": batch_id}
    return {
        "batch": Link("getBatch", "How far the batch is.", of_batch),
        "items": Link("listBatchItems", "Its items, each with its answer in short.", of_batch),
        "results": Link("downloadBatchResults", "All of its items in one answer.", of_batch),
        "cancel": Link("cancelBatch", "End the batch while it is open.", of_batch),
    }


def _of_key(key_id: str) -> dict[str, Link]:
    of_key = {"key_id": key_id}
    return {
        "key": Link("getKey", "What is known of the key.", of_key),
        "rotate": Link("rotateKey", "Replace the key by a new one.", of_key),
        "revoke": Link("revokeKey", "End the key.", of_key),
    }


def _of_webhook(webhook_id: str) -> dict[str, Link]:
    of_webhook = {"webhook_id": webhook_id}
    return {
        "webhook": Link("getWebhook", "The webhook.", of_webhook),
        "ping": Link("pingWebhook", "See whether an event arrives there.", of_webhook),
        "deliveries": Link("listWebhookDeliveries", "What was sent there, and how it went.", of_webhook),
        "delete": Link("deleteWebhook", "Send nothing there any more.", of_webhook),
    }


def _of_delivery(webhook_id: str, delivery_id: str) -> dict[str, Link]:
    of_delivery = {"webhook_id": webhook_id, "delivery_id": delivery_id}
    return {
        "delivery": Link("getWebhookDelivery", "The delivery, with what it sends.", of_delivery),
        "replay": Link("replayWebhookDelivery", "The same event once more.", of_delivery),
        "webhook": Link("getWebhook", "The webhook.", {"webhook_id": webhook_id}),
    }


def _of_schedule(schedule_id: str) -> dict[str, Link]:
    of_schedule = {"schedule_id": schedule_id}
    return {
        "schedule": Link("getSchedule", "The schedule.", of_schedule),
        "preview": Link("getSchedulePreview", "What it would do.", of_schedule),
        "occurrences": Link("listOccurrences", "The times that it was due.", of_schedule),
        "run": Link("runSchedule", "Re-size its workloads now.", of_schedule),
        "change": Link("putSchedule", "Change what it says.", of_schedule),
        "pause": Link("pauseSchedule", "Let it rest.", of_schedule),
    }


def _of_occurrence(occurrence_id: str) -> dict[str, Link]:
    of_occurrence = {"occurrence_id": occurrence_id}
    return {
        "occurrence": Link("getOccurrence", "How far it is, and what moved.", of_occurrence),
        "items": Link("listOccurrenceItems", "Its workloads, each with what changed.", of_occurrence),
        "results": Link("downloadOccurrenceResults", "All of them in one answer.", of_occurrence),
    }


LINKS: dict[str, dict[str, Link]] = {
    "Key": _of_key(_ID),
    "NewKey": _of_key(_ID),
    "KeyPage": _of_key(_FIRST_ID),
    "DeadLetterPage": {"readiness": Link("getReadiness", "Whether all parts of the installation work.")},
    "Schedule": _of_schedule(_ID),
    "SchedulePage": _of_schedule(_FIRST_ID),
    "Occurrence": _of_occurrence(_ID)
    | {"schedule": Link("getSchedule", "Its schedule.", {"schedule_id": "$response.body#/schedule_id"})},
    "OccurrencePage": _of_occurrence(_FIRST_ID),
    "OccurrenceItemPage": _of_occurrence("$request.path.occurrence_id"),
    "Batch": _of_batch(_ID),
    "BatchPage": _of_batch(_FIRST_ID),
    "BatchItemPage": _of_batch("$request.path.batch_id"),
    "Run": _of_run(_ID, _WORKLOAD_ID),
    "RunPage": _of_run(_FIRST_ID, "$response.body#/items/0/workload_id"),
    "Workload": _of_workload(_ID),
    "WorkloadPage": _of_workload(_FIRST_ID),
    "WorkloadVersion": _of_workload(_WORKLOAD_ID),
    "PriceBook": _of_price_book(_ID),
    "WholePriceBook": _of_price_book(_ID),
    "PriceBookPage": _of_price_book(_FIRST_ID),
    "Quote": _of_quote(_ID),
    "QuotePage": _of_quote(_FIRST_ID),
    "QuoteDifference": _of_quote("$response.body#/new_quote_id"),
    "AuditEventPage": {
        "workload": Link(
            "getWorkload",
            "What the first event is about, where that is a workload.",
            {"workload_id": "$response.body#/items/0/resource_id"},
        )
    },
    "WorkloadVersionPage": {
        "version": Link(
            "getWorkloadVersion",
            "The first of these versions.",
            {"workload_id": "$request.path.workload_id", "number": "$response.body#/items/0/version"},
        )
    },
    "Webhook": _of_webhook(_ID),
    "NewWebhook": _of_webhook(_ID),
    "WebhookPage": _of_webhook(_FIRST_ID),
    "Delivery": _of_delivery("$response.body#/webhook_id", _ID),
    "WholeDelivery": _of_delivery("$response.body#/webhook_id", _ID),
    "DeliveryPage": _of_delivery("$request.path.webhook_id", _FIRST_ID),
    "Difference": {
        "old": Link("getRun", "The first run.", {"run_id": "$response.body#/old_run_id"}),
        "new": Link("getRun", "The second run.", {"run_id": "$response.body#/new_run_id"}),
    },
    "AccuracyPage": {
        "gpu": Link("getGpu", "The GPU of the first point.", {"record_id": "$response.body#/items/0/gpu"}),
        "summary": Link("getAccuracySummary", "The errors of its model.", {"model": "$response.body#/items/0/model"}),
    },
    "Working": {"run": Link("getRun", "The run.", {"run_id": "$response.body#/run_id"})},
}
"""By the schema of the answer."""


def add_links(document: dict[str, Any]) -> None:
    """Give every answer the links of its schema; a link to an operation that is not there is left out."""
    operations = {
        operation["operationId"]: (path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }
    for name, (path, operation) in operations.items():
        for response in operation["responses"].values():
            links = {
                key: {"operationId": link.operation, "parameters": link.parameters, "description": link.description}
                for key, link in _links_of(name, path, _schema_name(response))
                if link.operation in operations and (link.operation != name or key == _NEXT)
            }
            if links:
                response["links"] = links


def _links_of(operation: str, path: str, schema: str) -> Iterator[tuple[str, Link]]:
    yield from LINKS.get(schema, {}).items()
    if schema == "CatalogPage":
        yield "record", Link(_reader_of(operation), "The first record.", {"record_id": _FIRST_ID})
    if schema.endswith("Page"):
        same = {part[1:-1]: f"$request.path.{part[1:-1]}" for part in path.split("/") if part.startswith("{")}
        yield _NEXT, Link(operation, "The next page; there is none without next_cursor.", {**same, "cursor": _CURSOR})


def _schema_name(response: dict[str, Any]) -> str:
    contents = response.get("content", {}).values()
    references = [content["schema"].get("$ref", "") for content in contents]
    return next((name.removeprefix(_SCHEMA) for name in references if name.startswith(_SCHEMA)), "")


def _reader_of(lister: str) -> str:
    # listGpus -> getGpu, listStorage -> getStorage
    return f"get{lister.removeprefix('list').removesuffix('s')}"
