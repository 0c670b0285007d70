"""Path parameters in the OpenAPI document: a name means one thing wherever it stands."""

from typing import Any

_ID = {"type": "string", "minLength": 1, "maxLength": 64}
PATH_PARAMETERS: dict[str, dict[str, Any]] = {
    "workload_id": {"description": "Id of a workload of yours, as `workload_id` of its run.", "schema": _ID},
    "batch_id": {"description": "Id of a batch of yours.", "schema": _ID},
    "schedule_id": {"description": "Id of a schedule of yours.", "schema": _ID},
    "occurrence_id": {"description": "Id of an occurrence of a schedule of yours.", "schema": _ID},
    "run_id": {"description": "Id of a run of yours; of two, the first, old one.", "schema": _ID},
    "other_id": {"description": "Id of the second, new run.", "schema": _ID},
    "price_book_id": {"description": "Id of a version of a price book of yours.", "schema": _ID},
    "quote_id": {"description": "Id of a revision of a quote of yours; of two, the first, old one.", "schema": _ID},
    "other_quote_id": {"description": "Id of the second, new revision.", "schema": _ID},
    "key_id": {"description": "Id of a key of your tenant.", "schema": _ID},
    "webhook_id": {"description": "Id of a webhook of your tenant.", "schema": _ID},
    "delivery_id": {"description": "Id of a delivery to that webhook.", "schema": _ID},
    "rank": {
        "description": "Rank of the option in the run's result; 1 is recommended.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 1000},
    },
    "number": {
        "description": "Number of the version, from 1.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
    },
    "record_id": {"description": "Id of the record; a model also has aliases.", "schema": {**_ID, "maxLength": 80}},
    "asset": {"description": "Name of a file of the page /docs.", "schema": _ID},
    "slug": {"description": "Last part of the `type` of a problem document.", "schema": _ID},
}


def describe_path_parameters(document: dict[str, Any]) -> None:
    """Put words and bounds into the path parameters of a document."""
    for item in document["paths"].values():
        for parameter in item.get("parameters", []):
            if parameter["in"] == "path":
                parameter.update(PATH_PARAMETERS.get(parameter["name"], {}))
