"""The pages in this process: a browser without scripts that is signed in, with the form tokens that it needs."""

import html
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event
from werkzeug.test import TestResponse

from service.access import Role
from service.planning.keys import create_key, create_tenant
from service.runtime import Runtime
from tests.api.conftest import app, runtime, speaker, work  # noqa: F401 - fixtures

_TOKEN = re.compile(r'name="form_token" value="([^"]+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Somebody with a browser. Pages are not in the OpenAPI document, so nothing holds them against it."""

    client: FlaskClient
    tenant_id: str
    key: str
    key_id: str

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(path, headers=named(headers))

    def post(self, path: str, form: dict[str, str], *, on: str = "/size/inference", **headers: str) -> TestResponse:
        """Send a form with the token of the page that it stands on."""
        token = form_token(self.get(on).text)
        return self.client.post(path, data={"form_token": token, **form}, headers=named(headers))

    def sign_in(self) -> TestResponse:
        token = form_token(self.client.get("/sign-in").text)
        return self.client.post("/sign-in", data={"form_token": token, "key": self.key})


def named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def form_token(page: str) -> str:
    found = _TOKEN.search(page)
    assert found, page[:2000]
    return html.unescape(found[1])


def text_of(page: str) -> str:
    """What stands in a page, in words."""
    bare = re.sub(r"<script.*?</script>|<[^>]+>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(bare))


def asked_first(page: str, action: str) -> str:
    """The words under which a form that cannot be taken back stands, closed until somebody opens it."""
    found = re.search(
        rf'<details class="sure"[^>]*><summary>.*?</summary>\s*<form[^>]*action="{action}".*?<p>(.*?)</p>', page
    )
    assert found, f"{action} is one click away"
    assert page.count(f'action="{action}"') == 1
    return html.unescape(found[1])


@pytest.fixture
def visitor(app: Flask, runtime: Runtime) -> Callable[..., Visitor]:  # noqa: F811 - the fixtures
    """Makes somebody of a tenant with a role, signed in unless said otherwise."""

    def make(tenant: str = "acme", role: Role = Role.REQUESTER, *, signed_in: bool = True) -> Visitor:
        tenant_id = create_tenant(runtime, tenant)
        made = create_key(runtime, tenant_id, principal=f"{tenant}-{role}", role=role)
        client = FlaskClient(app, app.response_class, use_cookies=True)
        somebody = Visitor(client=client, tenant_id=tenant_id, key=made.token, key_id=made.id)
        if signed_in:
            assert somebody.sign_in().status_code == 303
        return somebody

    return make


@pytest.fixture
def counted(runtime: Runtime) -> Callable[[], AbstractContextManager[list[str]]]:  # noqa: F811 - the fixture
    """Lists the statements that the database gets."""

    @contextmanager
    def count() -> Iterator[list[str]]:
        statements: list[str] = []

        def note(*call: object) -> None:
            statements.append(str(call[2]))

        engine = runtime.sessions.kw["bind"]
        event.listen(engine, "before_cursor_execute", note)
        try:
            yield statements
        finally:
            event.remove(engine, "before_cursor_execute", note)

    return count


@pytest.fixture
def anna(visitor) -> Visitor:
    return visitor("acme")


@pytest.fixture
def admin(visitor) -> Visitor:
    return visitor("acme", Role.ADMIN)


@pytest.fixture
def seller(visitor) -> Visitor:
    return visitor("acme", Role.SELLER)
