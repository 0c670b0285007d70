"""The option against its target: where interval, median and bound lie on one scale, as shares of its width."""

from collections.abc import Iterator, Mapping
from typing import Any

from service.documents.spelled import figure

# What was asked, the metric that answers it, how both are called, and whether less is better.
_ROWS = (
    ("ttft_ms", "ttft_p{percentile}_ms", "TTFT, p{percentile}", "ms", True),
    ("tpot_ms", "tpot_p{percentile}_ms", "TPOT, p{percentile}", "ms", True),
    ("requests_s", "capacity_requests_s", "Capacity", "requests/s", False),
    ("output_tokens_s", "output_tokens_s", "Output", "tokens/s", False),
    ("deadline_days", "time_to_train_days", "Time to train", "days", True),
    ("deadline_days", "elapsed_days", "Elapsed", "days", True),
    ("targets_day", "targets_day", "Targets", "a day", False),
    ("ns_day", "ns_day", "Simulated", "ns a day", False),
    ("genomes_day", "genomes_day", "Genomes", "a day", False),
    ("forecasts_day", "forecasts_day", "Forecasts", "a day", False),
    ("ligands_day", "ligands_day", "Ligands", "a day", False),
    ("designs_day", "designs_day", "Designs", "a day", False),
)
_ROOM = 1.08


def target_rows(quote: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of every objective that was asked: name, text, and low, median, high and target between 0 and 1."""
    asked = {item["name"]: item["value"] for item in quote["target"]["asked"]}
    return list(_rows(asked, quote["option"]["metrics"]))


def _rows(asked: Mapping[str, Any], metrics: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    percentile = f"{float(asked.get('percentile', 50)):g}"
    for name, metric, title, unit, less in _ROWS:
        found = metrics.get(metric.format(percentile=percentile))
        bound = asked.get(name)
        if found is None or bound is None:
            continue
        low, median, high, bound = (float(value) for value in (found["p10"], found["p50"], found["p90"], bound))
        end = max(high, bound) * _ROOM
        sign = "at most" if less else "at least"
        yield {
            "name": title.format(percentile=percentile),
            "low": low / end,
            "median": median / end,
            "high": high / end,
            "target": bound / end,
            "text": f"{figure(median)} {unit} [{figure(low)} … {figure(high)}]; target: {sign} {figure(bound)}",
        }
