"""/metrics: what all processes of this host have counted, and the state of the installation, for Prometheus."""

from collections.abc import Iterator
from typing import Any

from flask import Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from service.catalog.catalog import Catalog
from service.edge.blueprint import ResourceBlueprint
from service.edge.context import runtime
from service.planning.coverage import coverage, is_stale
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
    help_text = "For how long the oldest batch that is open has been."
    yield GaugeMetricFamily("headroom_batch_oldest_open_seconds", help_text, value=stored.oldest_batch_s)
    help_text = "For how long no item of any open batch has ended."
    yield GaugeMetricFamily("headroom_batch_idle_seconds", help_text, value=stored.batches_idle_s)
    help_text = "For how long the oldest event that may be sent to its webhook now has been due."
    yield GaugeMetricFamily("headroom_webhook_oldest_due_seconds", help_text, value=stored.oldest_delivery_s)
    help_text = "For how long the oldest document of a quote that nobody has made waits since it was asked for last."
    yield GaugeMetricFamily("headroom_document_oldest_waiting_seconds", help_text, value=stored.oldest_document_s)
    help_text = "Messages that were written and not rung yet."
    yield GaugeMetricFamily("headroom_outbox_entries", help_text, value=stored.outbox_entries)
    yield _gauge("headroom_processes", "Processes with a recent heartbeat.", stored.processes, labels=("role",))


class _AccuracyCollector:
    """How right the predictions are that this release was shipped with."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def collect(self) -> Iterator[Metric]:
        """Shares are told where there is something to share."""
        found = coverage(self._catalog)
        points: dict[tuple[str, str, str], float] = {}
        for each in found:
            points[each.kind, each.split, "yes"] = each.predicted
            points[each.kind, each.split, "no"] = each.refused
        help_text = "Published points, by whether the engine has a prediction."
        yield _gauge("headroom_accuracy_points", help_text, points, labels=("kind", "split", "predicted"))
        known = [each for each in found if each.predicted]
        inside = {(each.kind, each.split): each.inside_fraction for each in known}
        help_text = "Share of published points inside the 80 % interval."
        yield _gauge("headroom_accuracy_inside_ratio", help_text, inside, labels=("kind", "split"))
        errors = {(each.kind, each.split): each.median_error_fraction for each in known}
        help_text = "Median absolute error over what was measured."
        yield _gauge("headroom_accuracy_median_error_ratio", help_text, errors, labels=("kind", "split"))
        help_text = "Whether engine, calibration or facts have changed since the predictions were made."
        yield GaugeMetricFamily("headroom_accuracy_stale", help_text, value=float(is_stale(self._catalog)))


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
    registry.register(_AccuracyCollector(runtime().catalog))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)
