"""Signing in and out: whose session it is, how long it lasts, and that no other page can send a form of ours."""

import dataclasses
import datetime as dt

import pytest

from service.access import Quota, Role
from service.edge.context import attach
from service.edge.sessions import SESSION_COOKIE, tenant_signed_in
from service.planning.keys import revoke_key, set_tenant_disabled
from service.planning.quotas import set_quota
from tests.web.conftest import form_token, text_of


def test_the_first_page_leads_to_signing_in_and_back(visitor):
    somebody = visitor(signed_in=False)
    assert somebody.get("/").headers["Location"] == "/size"
    asked = somebody.get("/size/training?application=x")
    assert asked.status_code == 303
    page = somebody.get(asked.headers["Location"])
    answer = somebody.client.post(
        "/sign-in", data={"form_token": form_token(page.text), "key": somebody.key, "next": "/size/training"}
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "/size/training")
    assert somebody.get("/size/training").status_code == 200


@pytest.mark.parametrize(
    "elsewhere",
    ["https://other.example/", "//elsewhere.example/", "/\\elsewhere.example", "javascript:x", "http://[", "//["],
)
def test_signing_in_leads_to_no_other_site(visitor, elsewhere):
    somebody = visitor(signed_in=False)
    token = form_token(somebody.get("/sign-in").text)
    answer = somebody.client.post("/sign-in", data={"form_token": token, "key": somebody.key, "next": elsewhere})
    assert answer.headers["Location"] == "/size"


def test_the_cookie_is_for_the_server_alone(visitor):
    cookie = visitor(signed_in=False).sign_in().headers.get_all("Set-Cookie")
    [session] = [one for one in cookie if one.startswith(SESSION_COOKIE)]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in session.split(";")}


def test_a_browser_takes_the_turns_of_its_tenant(visitor):
    """However many others come through the same proxy."""
    somebody = visitor(signed_in=False)
    answer = somebody.sign_in()
    [session] = [one for one in answer.headers.get_all("Set-Cookie") if one.startswith(SESSION_COOKIE)]
    app, environ = somebody.client.application, {"HTTP_COOKIE": session.partition(";")[0]}
    assert tenant_signed_in(app, environ) is None
    assert somebody.get("/size/training").status_code == 200
    assert tenant_signed_in(app, environ) == somebody.tenant_id
    assert tenant_signed_in(app, {"HTTP_COOKIE": f"{SESSION_COOKIE}=made-up"}) is None
    assert tenant_signed_in(app, {}) is None


def test_over_tls_the_cookie_stays_there(visitor):
    somebody = visitor(signed_in=False)
    token = form_token(somebody.get("/sign-in").text)
    answer = somebody.client.post(
        "/sign-in", data={"form_token": token, "key": somebody.key}, headers={"X-Forwarded-Proto": "https"}
    )
    assert "Secure" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize("key", ["", "hr_nobody_nothing", "x" * 5000, "ключ"])
def test_a_wrong_key_is_told_beside_its_field(visitor, key):
    somebody = visitor(signed_in=False)
    token = form_token(somebody.get("/sign-in").text)
    answer = somebody.client.post("/sign-in", data={"form_token": token, "key": key})
    assert answer.status_code == 422
    assert "not valid" in text_of(answer.text)
    assert somebody.get("/size/inference").status_code == 303


def test_a_form_of_another_page_is_refused(anna):
    for token in ("", "nonsense", "AAAA", form_token(anna.get("/size/inference").text)[:-4]):
        assert anna.client.post("/size/inference", data={"form_token": token}).status_code == 403
    good = form_token(anna.get("/size/inference").text)
    crossed = anna.client.post("/sign-out", data={"form_token": good}, headers={"Sec-Fetch-Site": "cross-site"})
    assert crossed.status_code == 403
    assert anna.get("/size/inference").status_code == 200


def test_a_form_token_of_another_session_is_refused(anna, visitor):
    other = visitor("rival")
    token = form_token(other.get("/size/inference").text)
    assert anna.client.post("/sign-out", data={"form_token": token}).status_code == 403


def test_signing_out_ends_the_session_for_whoever_has_the_cookie(anna):
    stolen = anna.client.get_cookie(SESSION_COOKIE).value
    assert anna.post("/sign-out", {}).status_code == 303
    anna.client.set_cookie(SESSION_COOKIE, stolen)
    assert anna.get("/size/inference").status_code == 303


def test_a_revoked_key_or_a_disabled_tenant_ends_the_session(runtime, visitor):
    anna, otto = visitor("acme"), visitor("rival")
    revoke_key(runtime, anna.tenant_id, anna.key_id)
    assert anna.get("/size/inference").status_code == 303
    set_tenant_disabled(runtime, otto.tenant_id, disabled=True)
    assert otto.get("/size/inference").status_code == 403


def test_the_secret_changes_and_the_old_one_holds_for_a_moment(app, runtime, anna):
    old = anna.client.get_cookie(SESSION_COOKIE).value

    def after(**passed: int):
        now = runtime.clock() + dt.timedelta(**passed)
        attach(app, dataclasses.replace(runtime, clock=lambda: now))

    after(minutes=31)
    answer = anna.get("/size/inference")
    assert SESSION_COOKIE in answer.headers["Set-Cookie"]
    new = anna.client.get_cookie(SESSION_COOKIE).value
    assert new != old
    anna.client.set_cookie(SESSION_COOKIE, old)
    assert anna.get("/size/inference").status_code == 200
    after(minutes=33)
    assert anna.get("/size/inference").status_code == 303
    anna.client.set_cookie(SESSION_COOKIE, new)
    assert anna.get("/size/inference").status_code == 200
    after(hours=3)
    assert anna.get("/size/inference").status_code == 303


def test_a_session_is_over_after_half_a_day_of_work(app, runtime, anna):
    for hours in range(1, 13):
        now = runtime.clock() + dt.timedelta(hours=hours)
        attach(app, dataclasses.replace(runtime, clock=lambda now=now: now))
        answer = anna.get("/size/inference")
        assert answer.status_code == (200 if hours < 12 else 303), hours


def test_the_api_takes_no_cookie(anna):
    assert anna.get("/v1/runs").status_code == 401


def test_a_part_of_a_page_sends_the_whole_page_to_sign_in(visitor):
    answer = visitor(signed_in=False).get("/size/inference", HX_Request="true")
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (200, "/sign-in")


def test_an_operator_sees_facts_and_no_work(visitor):
    operator = visitor("acme", Role.OPERATOR)
    answer = operator.get("/size/inference")
    assert answer.status_code == 403
    assert "may not" in text_of(answer.text)


def test_a_tenant_has_its_own_quota_in_the_pages_too(runtime, visitor):
    anna = visitor("acme")
    set_quota(runtime, anna.tenant_id, Quota(reads=2))
    # A window may end between two of them, and no third one does.
    answers = [anna.get("/runs") for _ in range(6)]
    assert {answer.status_code for answer in answers} == {200, 429}
    assert answers[0].headers["RateLimit-Limit"] == "2"


def test_what_is_no_address_leads_home(visitor):
    assert visitor().get("/sign-in?next=http://[").headers["Location"] == "/size"


def test_sessions_are_opened_at_the_cost_of_the_tenant(runtime, visitor):
    browsers = [visitor("acme", signed_in=False) for _ in range(6)]
    set_quota(runtime, browsers[0].tenant_id, Quota(writes=2))
    # A window may end between two of them, and no third one does.
    answers = [browser.sign_in().status_code for browser in browsers]
    assert answers[:2] == [303, 303]
    assert set(answers) == {303, 429}
