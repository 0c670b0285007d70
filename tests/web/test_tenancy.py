"""The tenancy sweep of the pages, generated from their routes: another tenant's ids are nobody's, in every form too."""

import html
import re
from typing import Any

import pytest
from flask import Flask

from scripts.faulting.sweep import nobody
from service.access import Role
from service.edge.pages import is_page_endpoint
from tests.api.test_tenancy import CANARY, belongings
from tests.web.conftest import Visitor, form_token

# Variables of routes that name no tenant's resource, with a value each.
OPEN = {
    "name": "app.css", "resource": "gpus", "record_id": "b200-sxm", "kind": "inference", "rank": "1", "step": "submit",
    "form": "pdf",
}  # fmt: skip
NAMES = {
    "/price-books/<book_id>/diff/<other_id>": {"other_id": "price_book_id"},
    "/quotes/<quote_id>/diff/<other_id>": {"other_id": "other_quote_id"},
}
_CHANGES = re.compile(r'[0-9a-f]{32}|name="form_token" value="[^"]+"|\?v=\w+')


@pytest.fixture
def foreign(speaker, work) -> dict[str, str]:
    belongings(speaker, work, "acme")
    return belongings(speaker, work, "bolt")


def routes(app: Flask, foreign: dict[str, str]):
    """Every page and form that names a tenant's resource: its method, and its path for given ids."""
    for rule in app.url_map.iter_rules():
        names = {"book_id": "price_book_id"} | NAMES.get(rule.rule, {})
        named = {name: names.get(name, name) for name in rule.arguments - set(OPEN)}
        if not is_page_endpoint(rule.endpoint) or not named:
            continue
        assert set(named.values()) <= set(foreign), f"the sweep has nothing of another tenant for {rule}"
        for method in sorted(rule.methods & {"GET", "POST"}):

            def path(ids: dict[str, str], rule: Any = rule, named: dict[str, str] = named) -> str:
                values = {name: ids[named[name]] if name in named else OPEN[name] for name in rule.arguments}
                return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: values[found[1]], rule.rule)

            yield method, path


def heard(visitor: Visitor, method: str, path: str, token: str) -> tuple[int, str]:
    """Status and text, but for ids and tokens, which differ each time."""
    form = {"form_token": token, "reason": "x", "version": "1"}
    answer = visitor.client.open(path, method=method, data=form if method == "POST" else None)
    assert CANARY not in answer.text
    assert CANARY not in str(answer.headers)
    return answer.status_code, _CHANGES.sub("", html.unescape(answer.text))


def test_ids_of_another_tenant_are_ids_of_nobody_on_every_page(app, visitor, foreign):
    nobodys = {name: nobody(value) for name, value in foreign.items()}
    tried = 0
    for role in set(Role) - {Role.OPERATOR}:
        visiting = visitor("acme", role)
        token = form_token(visiting.get("/size/inference").text)
        for method, path in routes(app, foreign):
            theirs = heard(visiting, method, path(foreign), token)
            assert theirs == heard(visiting, method, path(nobodys), token), (role, path(foreign))
            assert theirs[0] in {403, 404, 422}, (role, method, path(foreign), theirs[0])
            tried += 1
    assert tried > 60


def test_queries_that_name_what_another_tenant_has_tell_nothing(visitor, foreign):
    visiting, owner = visitor("acme", Role.ADMIN), visitor("bolt", Role.ADMIN)
    paths = (
        f"/compare?run={foreign['run_id']}",
        f"/compare?run={foreign['run_id']}:1&run={foreign['other_id']}:1",
        f"/size/inference?run={foreign['run_id']}",
        f"/quotes/new?run={foreign['run_id']}&option=1",
        f"/quotes?run_id={foreign['run_id']}",
        f"/runs?workload_id={foreign['workload_id']}",
        *("/quotes", "/runs", "/batches", "/schedules", "/price-books", "/admin", "/admin/audit"),
    )
    told = 0
    for path in paths:
        answer = visiting.get(path)
        assert answer.status_code < 500, path
        assert CANARY not in answer.text, path
        assert not any(value in answer.text for value in foreign.values() if value not in path), path
        told += CANARY in owner.get(path).text
    # They would tell their owner.
    assert told >= 3
    assert owner.get(f"/runs/{foreign['run_id']}").status_code == 200
