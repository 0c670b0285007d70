"""Examples of the OpenAPI document: bodies to send, which the tests post, and answers that were once given."""

import json
from pathlib import Path
from typing import Any

from service.edge.answers import MEDIA_TYPE

_MORE = "document"
_REQUESTS = {
    "postWorkload": (".", f"{_MORE}/workloads"),
    "putWorkload": (".", f"{_MORE}/workloads"),
    "postEstimate": (f"{_MORE}/estimates",),
    "postPriceBook": (f"{_MORE}/price-books",),
    "activatePriceBook": (f"{_MORE}/price-book-activations",),
    "postQuote": (f"{_MORE}/quotes",),
    "putQuote": (f"{_MORE}/quotes",),
    "reviseQuote": (f"{_MORE}/quote-revisions",),
    "acceptQuote": (f"{_MORE}/quote-acceptances",),
    "declineQuote": (f"{_MORE}/quote-reasons",),
    "withdrawQuote": (f"{_MORE}/quote-reasons",),
    "rejectQuote": (f"{_MORE}/quote-reasons",),
    "postBatch": (f"{_MORE}/batches",),
    "postKey": (f"{_MORE}/keys",),
    "rotateKey": (f"{_MORE}/key-rotations",),
    "postWebhook": (f"{_MORE}/webhooks",),
    "putWebhook": (f"{_MORE}/webhooks",),
    "rotateWebhookSecret": (f"{_MORE}/webhook-rotations",),
    **dict.fromkeys(("postSchedule", "putSchedule", "postSchedulePreview"), (f"{_MORE}/schedules",)),
}
"""By operation: the folders of its bodies, below that of all examples."""
_STEPS = ("put", "submit", "approve", "reject", "issue", "accept", "decline", "withdraw")
ALIKE: dict[str, tuple[str, str]] = {
    **{f"{step}Quote": ("getQuote", "200") for step in _STEPS},
    "reviseQuote": ("postQuote", "201"),
}
"""By operation: whose example, of which status, shows its success too, for it is long."""
ANSWERS = f"{_MORE}/answers.json"
"""One answer per operation and status, as a test wrote it down."""


def request_examples(operation_id: str, folder: Path) -> dict[str, Any]:
    """The bodies that show an operation, by name; none for an operation that has no files."""
    paths = [path for part in _REQUESTS.get(operation_id, ()) for path in sorted((folder / part).glob("*.json"))]
    return {path.stem: json.loads(path.read_bytes()) for path in paths}


def answer_examples(folder: Path) -> dict[str, dict[str, Any]]:
    """By operation and status: an answer."""
    path = folder / ANSWERS
    found: dict[str, dict[str, Any]] = json.loads(path.read_bytes()) if path.exists() else {}
    return found


def add_examples(document: dict[str, Any], folder: Path) -> None:
    """Show the examples beside the schemas; each is a component, so that it stands in the document once."""
    components = document["components"].setdefault("examples", {})
    answers = answer_examples(folder)
    for item in document["paths"].values():
        for method, operation in item.items():
            if method == "parameters":
                continue
            name = operation["operationId"]
            if "requestBody" in operation:
                bodies = request_examples(name, folder)
                components.update({key: _example(body) for key, body in bodies.items()})
                operation["requestBody"]["content"][MEDIA_TYPE]["examples"] = _references(bodies)
            of, only = ALIKE.get(name, (name, None))
            for status, body in answers.get(of, {}).items():
                # A stale file must keep nobody from starting: the tests say what of it has no place any more.
                content = operation["responses"].get(status, {}).get("content", {})
                if MEDIA_TYPE in content and only in {None, status}:
                    key = f"{of}.{status}"
                    components[key] = {"value": body}
                    content[MEDIA_TYPE]["examples"] = _references({key: body})


def _example(body: Any) -> dict[str, Any]:
    named = [body] if isinstance(body, dict) else body
    summary = {"summary": ", ".join(one["name"] for one in named)} if all("name" in one for one in named) else {}
    return {**summary, "value": body}


def _references(bodies: dict[str, Any]) -> dict[str, Any]:
    return {key: {"$ref": f"#/components/examples/{key}"} for key in bodies}
