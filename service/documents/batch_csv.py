"""Results of a batch as CSV: a row an item; numbers as they are kept, text that no spreadsheet computes."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import orjson

from service.documents.csv_pieces import csv_pieces

_OPTION = (
    *("server", "server_name", "servers", "spare_servers", "gpu", "gpus", "gpus_instance", "replicas", "mode"),
    *("weight_precision", "kv_precision", "precision", "confidence_fraction", "bottleneck"),
)
_FACILITY = ("it_power_kw", "facility_power_kw", "racks", "cooling")
_COST = (
    *("currency", "total_usd", "complete", "not_in_total", "low_usd", "high_usd"),
    *("usd_per_million_tokens", "usd_per_run", "usd_per_target"),
)
# By what the kinds are judged; all other metrics stand in the NDJSON.
_METRICS = (
    *("ttft_ms", "tpot_ms", "output_tokens_s", "requests_s", "time_to_train_days", "tokens_s"),
    *("targets_day", "ns_day", "elapsed_days"),
)
_PERCENTILES = ("p10", "p50", "p90")
HEADING = (
    *("line", "name", "state", "kind"),
    *_OPTION,
    *_FACILITY,
    *_COST,
    *(f"{metric}_{percentile}" for metric in _METRICS for percentile in _PERCENTILES),
    *("limit", "relaxation", "error_code", "error_message", "digest"),
)


class Item(Protocol):
    """An item of a batch; `problem` and `answer` are JSON."""

    line: int
    state: str
    name: str | None
    kind: str | None
    digest: str | None
    problem: str | None
    answer: str | None


def batch_csv(items: Iterable[Item]) -> Iterator[bytes]:
    """A heading and a row an item, in pieces."""
    return csv_pieces(HEADING, (_row(item) for item in items))


def _row(item: Item) -> tuple[object, ...]:
    answer = _read(item.answer)
    option, shortfall = answer.get("option") or {}, answer.get("shortfall") or {}
    error = _read(item.problem)
    metrics = option.get("metrics", {})
    return (
        *(item.line, item.name, str(item.state), item.kind),
        *(option.get(name) for name in _OPTION),
        *((option.get("facility") or {}).get(name) for name in _FACILITY),
        *(_text((option.get("cost") or {}).get(name)) for name in _COST),
        *(metrics.get(metric, {}).get(percentile) for metric in _METRICS for percentile in _PERCENTILES),
        *(shortfall.get("limit"), shortfall.get("relaxation"), error.get("code"), error.get("message"), item.digest),
    )


def _text(value: object) -> object:
    """Parts stand in one cell, as they are called."""
    return " ".join(value) if isinstance(value, list) else value


def _read(text: str | None) -> Mapping[str, Any]:
    found: Mapping[str, Any] = {} if text is None else orjson.loads(text)
    return found
