"""Every page, and how the application gets them."""

from flask import Flask

from service.edge.pages import PageBlueprint, show_problems_with
from service.web import (
    accuracy,
    admin,
    assets,
    batches,
    catalog,
    compare,
    keys,
    price_books,
    quote_writing,
    quotes,
    runs,
    schedules,
    signing,
    size,
    webhooks,
)
from service.web.rendering import problem_page, teach_templates

PAGES: tuple[PageBlueprint, ...] = (
    assets.blueprint,
    signing.blueprint,
    signing.ending,
    size.blueprint,
    runs.blueprint,
    compare.blueprint,
    quote_writing.blueprint,
    quotes.blueprint,
    batches.blueprint,
    schedules.blueprint,
    schedules.writing,
    admin.blueprint,
    admin.quotas,
    keys.blueprint,
    webhooks.blueprint,
    price_books.blueprint,
    price_books.writing,
    catalog.blueprint,
    accuracy.blueprint,
)


def add_pages(app: Flask) -> None:
    """Register the pages, what their templates know, and how they tell problems."""
    for blueprint in PAGES:
        app.register_blueprint(blueprint)
    teach_templates(app)
    show_problems_with(app, problem_page)
