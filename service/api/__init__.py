"""The resources of version 1, in the order of the document."""

from service.api import catalog, estimates, health, runs, working, workloads

BLUEPRINTS = (
    workloads.blueprint,
    runs.blueprint,
    working.blueprint,
    estimates.blueprint,
    catalog.blueprint,
    health.blueprint,
)
