"""The resources of version 1, in the order of the document."""

from service.api import (
    accuracy,
    audit,
    catalog,
    differences,
    docs,
    document,
    estimates,
    health,
    metrics,
    price_book_changes,
    price_books,
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
    estimates.blueprint,
    catalog.blueprint,
    accuracy.blueprint,
    price_books.blueprint,
    price_book_changes.blueprint,
    audit.blueprint,
    health.blueprint,
    metrics.blueprint,
    problems.blueprint,
    document.blueprint,
    docs.blueprint,
)
