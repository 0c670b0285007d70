"""/metrics: what all processes of this host have counted, and the state of the installation, for Prometheus."""

from collections.abc import Iterator
from typing import Any

from flask import Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from service.edge.blueprint import ResourceBlueprint
from service.edge.context import runtime
from service.planning.state import State, Stored, state
from service.sizing.version import ENGINE_VERSION

blueprint = ResourceBlueprint("metrics", __name__, permission=None, description="For those who run the service.")
_TEXT = {"type": "string"}


class _StateCollector:
    """Gauges that are looked up when they are asked for."""

    def __init__(self, found: State, *, catalog_version: str) -> None:
        self._found = found
        self._catalog_version = catalog_version

    def collect(self) -> Iterator[Metric]:
        """One family per gauge; none of what could not be looked up."""
        found = self._found
        yield _gauge("headroom_build_info", "Versions, as labels.", {(ENGINE_VERSION, self._catalog_version): 1},
                     labels=("engine_version", "catalog_version"))  # fmt: skip
        parts = {"broker": found.queue_depths is not None, "cache": found.cache_answers}
        parts["database"] = found.stored is not None
        yield _gauge("headroom_part_up", "Whether a part answers.", parts, labels=("part",))
        if found.queue_depths is not None:
            help_text = "Messages that wait in the broker."
            yield _gauge("headroom_queue_messages", help_text, found.queue_depths, labels=("queue",))
        if found.stored is not None:
            yield from _of_database(found.stored)


def _of_database(stored: Stored) -> Iterator[Metric]:
    yield _gauge("headroom_runs_open", "Runs that have not ended.", stored.open_runs, labels=("status",))
    help_text = "For how long the oldest run that nobody took has waited."
    yield GaugeMetricFamily("headroom_run_oldest_waiting_seconds", help_text, value=stored.oldest_waiting_s)
    help_text = "Messages that were written and not rung yet."
    yield GaugeMetricFamily("headroom_outbox_entries", help_text, value=stored.outbox_entries)
    yield _gauge("headroom_processes", "Processes with a recent heartbeat.", stored.processes, labels=("role",))


def _gauge(name: str, help_text: str, by_label: Any, *, labels: tuple[str, ...]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help_text, labels=labels)
    for label, value in by_label.items():
        family.add_metric([label] if isinstance(label, str) else list(label), float(value))
    return family


@blueprint.route("/metrics", methods=["GET"])
@blueprint.response(200, _TEXT, content_type="text/plain", description="Prometheus text format 0.0.4.")
@blueprint.described(operationId="getMetrics")
def get_metrics() -> Any:
    """Read what was counted, in the text format of Prometheus."""
    registry = runtime().metrics.collected()
    registry.register(_StateCollector(state(runtime()), catalog_version=runtime().catalog.version))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)
