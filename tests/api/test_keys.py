"""/v1/keys: administrators make, rotate and revoke keys; what a key opens with is told once and kept nowhere."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from service.access import Role
from service.edge.authentication import remember_keys
from service.planning.keys import create_key
from tests.api.conftest import Speaker

KEYS = "/v1/keys"


@pytest.fixture
def admin(speaker, app):
    # What was just revoked is to be refused by the next call.
    remember_keys(app, memory_s=0.0)
    return speaker("acme", Role.ADMIN)


def with_key(speaker: Speaker, token: str) -> Speaker:
    return Speaker(client=speaker.client, tenant_id=speaker.tenant_id, token=token)


def events(admin: Speaker) -> list[tuple[str, str]]:
    items = admin.get("/v1/audit-events?resource_kind=key").json["items"]
    return [(item["action"], item["resource_id"]) for item in items]


def test_a_key_is_made_used_and_revoked(admin):
    answer = admin.post(KEYS, {"principal": "ann", "role": "seller"})
    assert answer.status_code == 201
    made = answer.json
    assert made["token"].startswith(made["start"])
    ann = with_key(admin, made["token"])
    assert ann.get("/v1/quotes").status_code == 200
    assert admin.get(answer.headers["Location"]).json["last_used_at"] is not None
    revoked = admin.post(f"{KEYS}/{made['id']}/revoke", None)
    assert (revoked.status_code, revoked.json["state"]) == (200, "revoked")
    assert admin.post(f"{KEYS}/{made['id']}/revoke", None).json == revoked.json
    assert ann.get("/v1/quotes").status_code == 401
    assert events(admin)[:2] == [("key.revoked", made["id"]), ("key.created", made["id"])]


def test_what_a_key_opens_with_is_told_once_and_kept_nowhere(admin, runtime):
    body = {"principal": "ann", "role": "requester"}
    first = admin.post(KEYS, body, Idempotency_Key="k-1")
    again = admin.post(KEYS, body, Idempotency_Key="k-1")
    assert first.json["token"] is not None
    assert again.json == first.json | {"token": None}
    assert "token" not in admin.get(first.headers["Location"]).json
    assert first.json["token"] not in admin.get(KEYS).text
    secret = first.json["token"].split("_", 2)[2]
    with runtime.sessions() as session:
        for (table,) in session.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).all():
            rows = session.execute(text(f'SELECT * FROM "{table}"')).all()
            assert secret not in repr(rows), table


def test_a_rotated_key_opens_for_its_grace_and_the_new_one_in_its_place(admin, runtime):
    old = admin.post(KEYS, {"principal": "ann", "role": "seller"}).json
    new = admin.post(f"{KEYS}/{old['id']}/rotate", {"grace_h": 2}).json
    assert (new["principal"], new["role"], new["state"]) == ("ann", "seller", "live")
    ends = datetime.fromisoformat(admin.get(f"{KEYS}/{old['id']}").json["expires_at"])
    assert abs(ends - datetime.now(UTC) - timedelta(hours=2)) < timedelta(minutes=1)
    for token in (old["token"], new["token"]):
        assert with_key(admin, token).get("/v1/quotes").status_code == 200
    newest = admin.post(f"{KEYS}/{new['id']}/rotate", {"grace_h": 0}).json
    assert with_key(admin, new["token"]).get("/v1/quotes").status_code == 401
    assert with_key(admin, newest["token"]).get("/v1/quotes").status_code == 200
    refused = admin.post(f"{KEYS}/{new['id']}/rotate", {})
    assert (refused.status_code, "is expired" in refused.json["detail"]) == (409, True)
    assert ("key.rotated", old["id"]) in events(admin)


def test_a_key_that_ends_before_its_grace_still_ends_then(admin):
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    old = admin.post(KEYS, {"principal": "ann", "role": "seller", "expires_at": soon}).json
    admin.post(f"{KEYS}/{old['id']}/rotate", {"grace_h": 24})
    assert admin.get(f"{KEYS}/{old['id']}").json["expires_at"] == old["expires_at"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"principal": "ann", "role": "operator"}, "role"),
        ({"principal": "ann", "role": "root"}, "role"),
        ({"principal": "", "role": "seller"}, "principal"),
        ({"principal": "ann", "role": "seller", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"principal": "ann", "role": "seller", "token": "hr_mine"}, "token"),
        ({"principal": "ann", "role": "seller", "tenant_id": "ten_other"}, "tenant_id"),
    ],
)
def test_what_is_no_key_is_refused_by_field(admin, body, field):
    answer = admin.post(KEYS, body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == [field]


def test_keys_of_operators_and_of_other_tenants_are_not_there(admin, runtime, speaker):
    operator = create_key(runtime, admin.tenant_id, principal="ops", role=Role.OPERATOR)
    rival = speaker("rival", Role.ADMIN)
    theirs = rival.get(KEYS).json["items"][0]["id"]
    for key_id in (operator.id, theirs, "key_nobody"):
        for answer in (
            admin.get(f"{KEYS}/{key_id}"),
            admin.post(f"{KEYS}/{key_id}/revoke", None),
            admin.post(f"{KEYS}/{key_id}/rotate", {}),
        ):
            assert answer.status_code == 404
    listed = {item["id"] for item in admin.get(KEYS).json["items"]}
    assert not listed & {operator.id, theirs}
    assert rival.get("/v1/workloads").status_code == 200


def test_a_list_of_keys_has_pages(admin):
    made = [admin.post(KEYS, {"principal": f"p{n}", "role": "requester"}).json["id"] for n in range(3)]
    page = admin.get(f"{KEYS}?limit=2").json
    rest = admin.get(f"{KEYS}?limit=2&cursor={page['next_cursor']}").json
    ids = [item["id"] for item in (*page["items"], *rest["items"])]
    assert ids[:3] == made[::-1]
    assert len(ids) == 4


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
def test_only_administrators_may(speaker, role):
    other = speaker("acme", role)
    assert other.get(KEYS).status_code == 403
    assert other.post(KEYS, {"principal": "x", "role": "admin"}).status_code == 403
