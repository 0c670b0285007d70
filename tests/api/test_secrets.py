"""No secret in a log: whatever is sent wherever it does not belong, no line of any level repeats it."""

import dataclasses
import json
import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from scripts.faulting.sweep import shown_body
from service.access import Role
from service.app import create_app
from tests.plain_logs import log_plainly

SECRET = "hr_0011223344ff_c2VjcmV0LXBhcnQtb2YtYS1rZXk"
PRICE = "4711.42"
METHODS = ("get", "post", "put", "delete")
_PARAMETER = re.compile(r"\{[a-z_]+\}")


def bent(value: Any) -> Any:
    """The body with a secret in the place of every text, and a price in that of every number."""
    if isinstance(value, dict):
        return {name: bent(each) for name, each in value.items()} | {SECRET: SECRET}
    if isinstance(value, list):
        return [bent(each) for each in value]
    return SECRET if isinstance(value, str) else value if isinstance(value, bool) else PRICE


def requests_of(document):
    """Every operation with a secret in its path, its query, its headers and its body."""
    for path, described in document["paths"].items():
        for method in METHODS:
            # Nobody works here, so it is not ready.
            if method not in described or path == "/readyz":
                continue
            media_type, shown = shown_body(document, described[method])
            headers = {"X-Request-Id": SECRET, "Idempotency-Key": SECRET, "If-Match": f'"{SECRET}"', "Cookie": SECRET}
            if media_type is not None:
                headers["Content-Type"] = media_type
            for body in [bent(shown), shown] if isinstance(shown, dict | list) else [f"{SECRET},{PRICE}\n{SECRET}"]:
                data = body if isinstance(body, str) else json.dumps(body)
                yield method.upper(), _PARAMETER.sub(SECRET, path), data if media_type else None, headers
                yield method.upper(), f"{path}?limit={SECRET}&{SECRET}=1", data if media_type else None, headers


@pytest.fixture
def loud(runtime):
    """The application as it logs at DEBUG."""
    settings = dataclasses.replace(runtime.settings, log_level="DEBUG")
    yield FlaskClient(create_app(dataclasses.replace(runtime, settings=settings)))
    log_plainly()


def test_what_is_sent_to_any_operation_is_in_no_line(loud, speaker, document, capsys):
    people = [speaker("acme", role).token for role in (Role.ADMIN, Role.SELLER)]
    capsys.readouterr()
    statuses = set()
    for method, path, data, headers in requests_of(document):
        for authorization in (*(f"Bearer {token}" for token in people), f"Bearer {SECRET}", f"Basic {SECRET}"):
            sent = {**headers, "Authorization": authorization}
            statuses.add(loud.open(path, method=method, data=data, headers=sent).status_code)
    written = capsys.readouterr().err
    assert {401, 403, 404, 422} <= statuses
    assert not {status for status in statuses if status >= 500}
    secrets = [SECRET, PRICE, *people, *(token.split("_", 2)[2] for token in (SECRET, *people))]
    assert [secret for secret in secrets if secret in written] == []
    lines = [json.loads(line) for line in written.splitlines()]
    # Who was refused is told all the same: by whom, where, and how it ended.
    refused = [line for line in lines if line["event"] == "request" and line["status"] in {401, 403}]
    assert {line["status"] for line in refused} == {401, 403}
    assert all(line["tenant_id"] for line in refused if line["status"] == 403)


def test_what_is_handed_out_once_is_in_no_line(loud, speaker, capsys):
    admin = {"Authorization": f"Bearer {speaker('acme', Role.ADMIN).token}"}
    capsys.readouterr()
    key = loud.post("/v1/keys", json={"principal": "ann", "role": "seller"}, headers=admin).json
    hook = {"name": "x", "url": "https://hooks.example.com/s3cret-in-a-path", "events": ["run.done"]}
    webhook = loud.post("/v1/webhooks", json=hook, headers=admin).json
    another = loud.post(f"/v1/webhooks/{webhook['id']}/rotate", json={}, headers=admin | {"If-Match": "*"}).json
    written = capsys.readouterr().err
    assert written.count('"event":"request"') == 3
    for secret in (key["token"], webhook["secret"], another["secret"], "s3cret-in-a-path"):
        assert secret not in written
