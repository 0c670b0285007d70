"""What every answer says to browsers, what is not there, and which test holds each item of the lists of OWASP.

The items of the Application Security Verification Standard 5.0 that the cases of the fault protocol imply, and the test
that holds each, are in `ASVS`; those of the API Security Top 10 (2023) stand in the README. Items that belong to who
runs it, such as TLS and Strict-Transport-Security (3.4.1), are the proxy's.
"""

import ast
import re

import pytest

from config.environment import ROOT
from scripts.faulting.choice import chosen
from scripts.faulting.scene import Profile
from scripts.faulting.sweep import shown_body
from service.access import Role

SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

ASVS = {
    "1.2.1 stored words are words on pages": "tests/web/test_escaping.py::test_stored_words_are_words_on_every_page",
    "1.2.1 typed words come back as words": (
        "tests/web/test_escaping.py::test_words_that_are_typed_and_refused_come_back_as_words"
    ),
    "1.2.4 no word becomes a statement": "tests/api/test_mutations.py::test_no_workload_breaks_the_service",
    "1.2.10 no cell becomes a formula": "tests/documents/test_tables.py::test_no_text_becomes_a_formula_or_a_link",
    "1.3.6 no way inside": "tests/test_outbound.py::test_what_may_not_be_called_is_refused_at_save_and_at_send",
    "1.3.7 no name becomes a template": "tests/documents/test_pdf.py::test_text_stays_text",
    "1.5.2 messages are ids": "tests/test_queue.py::test_a_message_carries_ids_only_and_waits_in_its_queue",
    "1.5.3 one reading of a body": "tests/api/test_body.py::test_both_ways_read_the_same_value",
    "2.2.1 bounds": "tests/api/test_science.py::test_a_number_out_of_range_is_422_with_field_value_and_limit",
    "2.3.1 steps in their order": (
        "tests/planning/test_quote_steps.py::test_each_step_is_taken_from_the_states_that_allow_it_and_no_other"
    ),
    "2.3.3 all of a change or nothing": "tests/planning/test_audit.py::test_a_change_that_is_not_committed_is_not_told",
    "2.3.4 one of a number is out": (
        "tests/planning/test_quote_races.py::test_of_a_number_one_revision_is_out_whatever_is_raced"
    ),
    "2.3.5 two people": "tests/api/test_quotes.py::test_nobody_approves_their_own_even_through_a_revision",
    "2.4.1 so many calls": "tests/api/test_limits.py::test_a_tenant_has_so_many_reads_and_so_many_writes",
    "3.3.1 cookies over TLS": "tests/web/test_signing.py::test_over_tls_the_cookie_stays_there",
    "3.3.4 cookies no script reads": "tests/web/test_signing.py::test_the_cookie_is_for_the_server_alone",
    "3.4.2 no CORS": "tests/api/test_security.py::test_other_methods_are_told_which_there_are",
    "3.4.3 content policy": "tests/web/test_frame.py::test_the_policy_is_strict_and_the_pages_keep_it",
    "3.4.4 no sniffing": "tests/api/test_security.py::test_every_answer_says_how_it_is_to_be_treated",
    "3.4.6 no frames": "tests/api/test_security.py::test_every_answer_says_how_it_is_to_be_treated",
    "3.5.1 no forged forms": "tests/web/test_signing.py::test_a_form_token_of_another_session_is_refused",
    "3.7.2 no way to other sites": "tests/web/test_signing.py::test_signing_in_leads_to_no_other_site",
    "4.1.4 no other methods": "tests/api/test_security.py::test_other_methods_are_told_which_there_are",
    "5.2.1 no huge bodies": "tests/api/test_body.py::test_ten_megabytes_are_refused_unread",
    "5.2.1 no huge uploads": "tests/api/test_batches.py::test_an_upload_that_is_too_long_is_refused",
    "5.2.3 nothing compressed": "tests/api/test_body.py::test_a_compressed_body_is_415",
    "5.2.3 no compressed uploads": "tests/api/test_batches.py::test_a_compressed_upload_is_refused_unread",
    "7.3.2 sessions end": "tests/web/test_signing.py::test_a_session_is_over_after_half_a_day_of_work",
    "7.4.1 signing out": "tests/web/test_signing.py::test_signing_out_ends_the_session_for_whoever_has_the_cookie",
    "7.4.2 disabled": "tests/web/test_signing.py::test_a_revoked_key_or_a_disabled_tenant_ends_the_session",
    "8.2.1 every role on every route": "tests/api/test_access.py::test_a_role_may_what_its_permissions_say",
    "8.2.2 ids of others": "tests/api/test_tenancy.py::test_ids_of_another_tenant_are_answered_as_ids_of_nobody",
    "8.4.1 one place for tenants": "tests/store/test_scope.py::test_a_query_that_names_no_tenant_finds_those_of_one",
    "8.4.1 every statement names its tenant": (
        "tests/api/test_scoping.py::test_every_operation_of_the_document_names_its_tenant"
    ),
    "11.5.1 keys are chance": "tests/planning/test_keys.py::test_a_key_is_256_bits_of_chance",
    "13.4.4 no TRACE": "tests/api/test_security.py::test_other_methods_are_told_which_there_are",
    "13.4.5 metrics name nobody": "tests/api/test_metrics.py::test_no_customer_is_named",
    "14.2.1 no key in an address": "tests/api/test_security.py::test_a_key_in_the_wrong_place_opens_nothing",
    "14.3.2 kept by nobody": "tests/api/test_security.py::test_every_answer_says_how_it_is_to_be_treated",
    "15.2.2 slow bodies": (
        "tests/e2e/test_slow_bodies.py::test_bodies_that_do_not_come_in_time_are_answered_408_and_make_nothing"
    ),
    "15.2.2 what is refused costs little": (
        "tests/schemas/test_uploaded.py::test_what_is_refused_in_the_end_costs_little"
    ),
    "15.3.2 no redirects": "tests/test_outbound.py::test_a_redirect_is_an_answer_and_not_followed",
    "15.3.3 mass assignment": "tests/api/test_security.py::test_no_body_sets_what_nobody_may_set",
    "15.3.3 no body chooses its tenant": "tests/api/test_access.py::test_a_body_cannot_choose_its_tenant",
    "15.3.7 a parameter twice": "tests/api/test_security.py::test_a_parameter_that_comes_twice_is_refused",
    "15.4.2 checks and deeds are one": "tests/planning/test_quote_races.py::test_raced_steps_take_one_legal_path",
    "16.2.5 no secret in a log": "tests/api/test_secrets.py::test_what_is_sent_to_any_operation_is_in_no_line",
    "16.3.2 refusals are logged": "tests/api/test_secrets.py::test_what_is_sent_to_any_operation_is_in_no_line",
    "16.4.1 no forged line": "tests/logs/test_lines.py::test_no_value_of_ours_breaks_a_line",
    "16.5.1 errors tell nothing": "tests/api/test_problems.py::test_a_surprise_is_500_and_tells_nothing",
    "16.5.2 parts may be away": "tests/api/test_limits.py::test_without_redis_a_process_counts_its_share_alone",
}


def has_test(path: str, name: str) -> bool:
    """Whether the file defines the test, which can fail and is not skipped."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            words = ast.unparse(node)
            return ("assert " in words or "pytest.raises" in words) and "skip" not in words and "xfail" not in words
    return False


@pytest.mark.parametrize("item", ASVS)
def test_each_item_of_the_standard_has_its_test(item):
    path, _, name = ASVS[item].partition("::")
    assert has_test(path, name), ASVS[item]


def test_each_item_of_the_top_ten_has_tests_and_cases_that_exist():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (\d+) [^|]+ \| [^|]+ \| ([^|]+) \|$", readme.partition("| OWASP API")[2], flags=re.MULTILINE
    )
    assert [int(number) for number, _ in rows] == list(range(1, 11))
    known = {case.number for case in chosen((), profile=Profile.FULL, seed=1)}
    for _, cell in rows:
        for named in re.findall(r"`([^`]+)`", cell):
            assert any((ROOT / folder / named).exists() for folder in ("", "tests/api")), named
        cases = {int(number) for words in re.findall(r"cases? ([\d, ]+)", cell) for number in re.findall(r"\d+", words)}
        assert cases <= known, cell


@pytest.mark.parametrize("path", ["/healthz", "/v1/runs", "/v1/nothing", "/v1/runs/run_x"])
@pytest.mark.parametrize("has_key", [True, False])
def test_every_answer_says_how_it_is_to_be_treated(client, acme, path, has_key):
    answer = acme.get(path) if has_key else client.get(path)
    for name, value in SAFE.items():
        assert answer.headers[name] == value, name
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["Cache-Control"] == "no-store"
    for name in ("Access-Control-Allow-Origin", "X-Powered-By", "Set-Cookie"):
        assert name not in answer.headers, name


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT"])
def test_other_methods_are_told_which_there_are(acme, method):
    answer = acme.client.open("/v1/runs", method=method, headers={"Origin": "https://elsewhere.example"})
    assert answer.status_code == 405
    assert answer.headers["Allow"]
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_key_in_the_wrong_place_opens_nothing(client, speaker):
    token = speaker("acme", Role.ADMIN).token
    for headers in ({"X-Api-Key": token}, {"Cookie": f"key={token}"}, {"Authorization": f"Basic {token}"}):
        assert client.get("/v1/runs", headers=headers).status_code == 401, headers
    assert client.get(f"/v1/runs?key={token}").status_code in {401, 422}


@pytest.mark.parametrize("query", ["limit=1&limit=100", "limit=1&limit=1", "status=done&status=failed"])
def test_a_parameter_that_comes_twice_is_refused(acme, query):
    answer = acme.get(f"/v1/runs?{query}")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == [query.partition("=")[0]]


NOBODYS = ("tenant_id", "status", "state", "approved_by", "discount_floor", "total", "created_at", "id", "version")


def test_no_body_sets_what_nobody_may_set(client, speaker):
    """In every operation that takes a body, at its top and inside of it: refused by name."""
    document, tried = client.get("/openapi.json").json, 0
    people = [speaker("acme", role) for role in (Role.ADMIN, Role.SELLER)]
    for path, method, body in bodies(document):
        for where, changed in with_members(body):
            for somebody in people:
                headers = {"Authorization": f"Bearer {somebody.token}", "If-Match": "*"}
                answer = somebody.client.open(path, method=method, json=changed, headers=headers)
                if answer.status_code != 403:
                    assert answer.status_code == 422, (method, path, where, answer.text)
                    assert where in {error["field"] for error in answer.json["errors"]}, (where, answer.text)
                    tried += 1
    assert tried > 150


def bodies(document):
    """Every operation that takes an object, at an id of nobody's, with the body that the document shows."""
    for path, described in document["paths"].items():
        for method in described.keys() & {"post", "put", "patch"}:
            media_type, body = shown_body(document, described[method])
            if media_type == "application/json" and isinstance(body, dict):
                yield re.sub(r"\{\w+\}", f"x_{'1' * 32}", path), method.upper(), body


def with_members(body):
    """The body with one more member each time: at its top, and in the first object inside of it."""
    inner = next((name for name, value in body.items() if isinstance(value, dict) and name != "labels"), None)
    for name in NOBODYS:
        if name not in body:
            yield name, {**body, name: "x"}
        if inner is not None and name not in body[inner]:
            yield f"{inner}.{name}", {**body, inner: {**body[inner], name: "x"}}
