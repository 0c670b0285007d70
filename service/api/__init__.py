"""The resources of version 1, in the order of the document."""

from service.api import catalog, estimates, health, runs, workloads

BLUEPRINTS = (
    workloads.blueprint,
    runs.blueprint,
    estimates.blueprint,
    catalog.blueprint,
    health.blueprint,
)
