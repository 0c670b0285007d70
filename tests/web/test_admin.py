"""Administration as pages: keys that are shown once, who changed what, price books held against each other."""

import re

import pytest

from service.access import Role
from service.planning.keys import create_key, list_keys
from tests.api.selling import open_shop
from tests.web.conftest import text_of


@pytest.fixture
def admin(visitor):
    return visitor("acme", Role.ADMIN)


def test_a_key_is_made_shown_once_and_revoked(admin, visitor):
    made = admin.post("/admin/keys", {"principal": "otto", "role": "seller"}, on="/admin/keys")
    assert made.headers["Cache-Control"] == "no-store"
    token = re.search(r"hr_\w+_[\w-]{40,}", made.text)[0]
    assert token not in admin.get("/admin/keys").text
    otto = visitor("acme", Role.SELLER, signed_in=False)
    assert otto.client.get("/v1/runs", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    key = re.findall(r'action="/admin/keys/(\w+)/revoke"', admin.get("/admin/keys").text)[0]
    assert admin.post(f"/admin/keys/{key}/revoke", {}, on="/admin/keys").status_code == 303
    assert "revoked" in text_of(admin.get("/admin/keys").text)


NOBODY = [("", "seller"), ("x" * 201, "seller"), ("anna", "king"), ("a\nb", "seller"), ("anna", "operator")]


@pytest.mark.parametrize(("principal", "role"), NOBODY)
def test_a_key_for_nobody_is_told(admin, principal, role):
    answer = admin.post("/admin/keys", {"principal": principal, "role": role}, on="/admin/keys")
    assert answer.status_code == 422
    assert re.search(r"(?:principal|role): ", text_of(answer.text))
    assert "hr_" not in answer.text.split("<table")[0]


def test_a_tenant_makes_no_key_of_an_operator(admin, runtime):
    answer = admin.post("/admin/keys", {"principal": "otto", "role": "operator"}, on="/admin/keys")
    assert answer.status_code == 422
    assert "operator" not in admin.get("/admin/keys").text
    assert Role.OPERATOR not in {one.role for one in list_keys(runtime, admin.tenant_id)}


def test_keys_of_operators_are_neither_seen_nor_revoked(admin, runtime):
    made = create_key(runtime, admin.tenant_id, principal="host", role=Role.OPERATOR)
    assert made.sheet.start not in admin.get("/admin/keys").text
    assert admin.post(f"/admin/keys/{made.id}/revoke", {}, on="/admin/keys").status_code == 404
    assert [one.revoked_at for one in list_keys(runtime, admin.tenant_id) if one.id == made.id] == [None]


def test_a_page_that_shows_a_key_is_kept_nowhere(admin):
    made = admin.post("/admin/keys", {"principal": "otto", "role": "seller"}, on="/admin/keys")
    assert made.headers["Cache-Control"] == "no-store"


def test_the_audit_trail_tells_who_did_what(admin):
    admin.post("/admin/keys", {"principal": "otto", "role": "seller"}, on="/admin/keys")
    page = text_of(admin.get("/admin/audit?kind=key&principal=acme-admin").text)
    assert "key.created" in page or "key_created" in page
    assert admin.get("/admin/audit?action=nothing").status_code == 200


def test_two_price_books_are_held_against_each_other(admin, speaker, work):
    shop = open_shop(speaker, work)
    first = shop.stock(price="1000.00").json["id"]
    second = shop.stock(price="1250.00").json["id"]
    assert "In force" in text_of(admin.get("/price-books").text)
    assert f"/price-books/{first}/diff/{second}" in admin.get(f"/price-books/{second}").text
    words = text_of(admin.get(f"/price-books/{first}/diff/{second}").text)
    assert "+25.0" in words
    assert "1,250.00" in words


def test_others_have_no_admin_pages(anna, visitor):
    for path in ("/admin/keys", "/admin/audit"):
        assert anna.get(path).status_code == 403
    stranger = visitor("rival", Role.ADMIN)
    assert stranger.get("/price-books/pbk_0").status_code == 404
    assert stranger.post("/admin/keys/key_0/revoke", {}, on="/admin/keys").status_code == 404


def test_a_webhook_is_made_with_a_secret_that_is_shown_once(admin):
    form = {"url": "https://93.184.215.14/events", "events": "run.done"}
    made = admin.post("/admin/webhooks", form, on="/admin/webhooks")
    assert made.status_code == 200, text_of(made.text)[:600]
    secret = re.search(r"<p><code>([^<]+)</code></p>", made.text)[1]
    listed = admin.get("/admin/webhooks").text
    assert secret not in listed
    assert "93.184.215.14" in listed
    hook = re.search(r'action="/admin/webhooks/(\w+)/delete"', listed)[1]
    assert admin.post(f"/admin/webhooks/{hook}/delete", {}, on="/admin/webhooks").status_code == 303
    assert "There is none yet" in admin.get("/admin/webhooks").text


def test_a_wrong_webhook_is_told_and_what_was_typed_stays(admin):
    answer = admin.post("/admin/webhooks", {"url": "http://localhost/x"}, on="/admin/webhooks")
    assert answer.status_code == 422
    assert "alert" in answer.text
    assert 'value="http://localhost/x"' in answer.text
