"""Administration as pages: keys and secrets that are shown once, who changed what, what the tenant may do."""

import html
import re
import shlex

import pytest

from service.access import Role
from service.planning.keys import create_key, list_keys
from tests.web.conftest import asked_first, text_of

HOOK = {"url": "https://93.184.215.14/events", "events": "run.done"}


def test_a_key_is_made_shown_once_and_revoked(admin, visitor):
    made = admin.post("/admin/keys", {"principal": "otto", "role": "seller"}, on="/admin/keys")
    assert made.headers["Cache-Control"] == "no-store"
    token = re.search(r"hr_\w+_[\w-]{40,}", made.text)[0]
    assert token not in admin.get("/admin/keys").text
    otto = visitor("acme", Role.SELLER, signed_in=False)
    assert otto.client.get("/v1/runs", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    key = re.findall(r'action="/admin/keys/(\w+)/revoke"', admin.get("/admin/keys").text)[0]
    assert "refused from this moment" in asked_first(admin.get("/admin/keys").text, f"/admin/keys/{key}/revoke")
    assert admin.post(f"/admin/keys/{key}/revoke", {}, on="/admin/keys").status_code == 303
    assert "revoked" in text_of(admin.get("/admin/keys").text)


NOBODY = [("", "seller"), ("x" * 201, "seller"), ("anna", "king"), ("a\nb", "seller"), ("anna", "operator")]


@pytest.mark.parametrize(("principal", "role"), NOBODY)
def test_a_key_for_nobody_is_told(admin, principal, role):
    answer = admin.post("/admin/keys", {"principal": principal, "role": role}, on="/admin/keys")
    assert answer.status_code == 422
    assert re.search(r'id="fault-(?:principal|role)"[^>]*>\s*<p>', answer.text)
    # A form token is chance, and may hold any three letters.
    assert not re.search(r"hr_[0-9a-f]{12}_", answer.text.split("<table")[0])


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


def test_others_have_no_admin_pages(anna, visitor):
    for path in ("/admin/keys", "/admin/audit"):
        assert anna.get(path).status_code == 403
    stranger = visitor("rival", Role.ADMIN)
    assert stranger.get("/price-books/pbk_0").status_code == 404
    assert stranger.post("/admin/keys/key_0/revoke", {}, on="/admin/keys").status_code == 404


@pytest.fixture
def webhook(admin) -> str:
    admin.post("/admin/webhooks", HOOK, on="/admin/webhooks")
    return "/admin/webhooks/" + re.search(r'href="/admin/webhooks/(whk_\w+)"', admin.get("/admin/webhooks").text)[1]


def step(admin, webhook: str, name: str, **typed: str):
    version = re.search(r'name="version" value="(\d+)"', admin.get(webhook).text)[1]
    return admin.post(f"{webhook}/{name}", {"version": version, **typed}, on=webhook)


def test_a_webhook_is_made_with_a_secret_that_is_shown_once(admin):
    made = admin.post("/admin/webhooks", HOOK, on="/admin/webhooks")
    assert (made.status_code, made.headers["Cache-Control"]) == (200, "no-store"), text_of(made.text)[:600]
    secret = re.search(r"<p><code>([^<]+)</code></p>", made.text)[1]
    listed = admin.get("/admin/webhooks").text
    assert secret not in listed
    assert "93.184.215.14" in listed
    hook = re.search(r'href="(/admin/webhooks/whk_\w+)"', listed)[1]
    assert "given up" in asked_first(admin.get(hook).text, f"{hook}/delete")
    assert step(admin, hook, "delete").status_code == 303
    assert "There is none yet" in text_of(admin.get("/admin/webhooks").text)


def test_a_webhook_is_changed_disabled_and_enabled_again(admin, webhook):
    version = re.search(r'name="version" value="(\d+)"', admin.get(webhook).text)[1]
    form = {**HOOK, "name": "the desk", "version": version}
    assert admin.post(webhook, form, on=webhook).status_code == 303
    assert "the desk" in text_of(admin.get("/admin/webhooks").text)
    late = admin.post(webhook, form | {"name": "another"}, on=webhook)
    assert (late.status_code, "alert" in late.text) == (409, True)
    wrong = admin.post(webhook, {"url": "http://localhost/x", "version": "2"}, on=webhook)
    assert (wrong.status_code, 'value="http://localhost/x"' in wrong.text) == (422, True)
    assert step(admin, webhook, "disable").status_code == 303
    assert "An administrator disabled it" in text_of(admin.get(webhook).text)
    assert step(admin, webhook, "ping").status_code == 409
    assert step(admin, webhook, "enable").status_code == 303
    assert step(admin, webhook, "nothing").status_code == 404
    assert "shown once" in asked_first(admin.get(webhook).text, f"{webhook}/rotate")
    told = step(admin, webhook, "rotate", old_valid_h="2")
    assert "shown now and never again" in text_of(told.text)
    assert "signs too until" in text_of(admin.get(webhook).text)
    assert step(admin, webhook, "rotate", old_valid_h="for ever").status_code == 409


def test_what_was_sent_is_told_and_sent_again(admin, webhook, runtime):
    assert step(admin, webhook, "ping").status_code == 303
    page = admin.get(webhook).text
    assert "webhook ping" in text_of(page)
    assert "Send again" not in page
    assert "that is like this" in text_of(admin.get(f"{webhook}?status=gave_up").text)
    # Disabled, what was on its way is given up; enabled again, it can be sent once more.
    step(admin, webhook, "disable")
    step(admin, webhook, "enable")
    again = re.search(rf'action="({webhook}/deliveries/whd_\w+/replay)"', admin.get(webhook).text)[1]
    assert admin.post(again, {}, on=webhook).status_code == 303
    assert "sent again" in text_of(admin.get(webhook).text)


def test_a_wrong_webhook_is_told_and_what_was_typed_stays(admin):
    answer = admin.post("/admin/webhooks", {"url": "http://localhost/x"}, on="/admin/webhooks")
    assert answer.status_code == 422
    assert re.search(r'id="fault-hook-events"[^>]*>\s*<p>', answer.text)
    assert 'value="http://localhost/x"' in answer.text


def test_a_key_is_replaced_and_the_old_one_opens_for_a_while(admin):
    admin.post("/admin/keys", {"principal": "otto", "role": "seller", "ends_on": "2099-01-31"}, on="/admin/keys")
    page = admin.get("/admin/keys").text
    assert "31\u00a0Jan\u00a02099" in page
    key = re.search(r'action="/admin/keys/(\w+)/rotate"', page)[1]
    wrong = admin.post(f"/admin/keys/{key}/rotate", {"grace_h": "long"}, on="/admin/keys")
    assert (wrong.status_code, 'value="long"' in wrong.text) == (422, True)
    made = admin.post(f"/admin/keys/{key}/rotate", {"grace_h": "2"}, on="/admin/keys")
    assert made.headers["Cache-Control"] == "no-store"
    assert "The key of otto (seller)" in text_of(made.text)
    assert re.search(r"hr_\w+_[\w-]{40,}", made.text)
    admin.post(f"/admin/keys/{key}/revoke", {}, on="/admin/keys")
    assert admin.post(f"/admin/keys/{key}/rotate", {}, on="/admin/keys").status_code == 409


def test_quotas_are_told(admin, anna):
    words = text_of(admin.get("/admin/quotas").text)
    assert "Sizings that may be open at once" in words
    assert anna.get("/admin/quotas").status_code == 403


def test_the_command_that_sets_a_quota_can_be_run_as_it_stands(visitor):
    page = visitor("Example University", Role.ADMIN).get("/admin/quotas").text
    [command] = re.findall(r"<code>(.*?)</code>", page)
    words = shlex.split(html.unescape(command))
    assert words[:5] == ["python", "-m", "scripts.make_key", "Example University", "--quota"]


def test_another_tenants_webhook_is_not_there(webhook, visitor):
    stranger = visitor("rival", Role.ADMIN)
    assert stranger.get(webhook).status_code == 404
    for path in (webhook, f"{webhook}/ping", f"{webhook}/rotate", f"{webhook}/deliveries/whd_0/replay"):
        assert stranger.post(path, {**HOOK, "version": "1"}, on="/admin/webhooks").status_code == 404, path
