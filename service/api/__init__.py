"""The resources of version 1, in the order of the document."""

from service.api import (
    accuracy,
    audit,
    batches,
    catalog,
    differences,
    docs,
    document,
    estimates,
    health,
    metrics,
    problems,
    runs,
    versions,
    working,
    workloads,
)

BLUEPRINTS = (
    workloads.blueprint,
    versions.blueprint,
    runs.blueprint,
    working.blueprint,
    differences.blueprint,
    batches.blueprint,
    estimates.blueprint,
    catalog.blueprint,
    accuracy.blueprint,
    audit.blueprint,
    health.blueprint,
    metrics.blueprint,
    problems.blueprint,
    document.blueprint,
    docs.blueprint,
)
