"""/v1/quotes: the whole life over HTTP, who may, what is refused and leaves nothing, tags, keys, and other tenants."""

import hashlib
import random
from decimal import Decimal

import pytest

from config.environment import ROOT
from service.access import Role
from service.edge.examples import request_examples
from tests.api.conftest import Speaker
from tests.api.selling import QUOTES, REASON, Shop, open_shop
from tests.api.test_mutations import mutated

QUOTE_BODIES = request_examples("postQuote", ROOT / "config" / "examples")
ACCEPTANCE = {"accepted_by": "Head of purchasing", "reference": "PO 1"}
STEPS = {
    "submit": None, "approve": None, "issue": None, "reject": REASON, "decline": REASON, "withdraw": REASON,
    "accept": ACCEPTANCE, "revise": {},
}  # fmt: skip


@pytest.fixture
def shop(speaker, work) -> Shop:
    return open_shop(speaker, work)


def read(shop: Shop, quote_id: str):
    return shop.seller.get(f"{QUOTES}/{quote_id}").json


def test_from_a_run_to_an_accepted_quote(shop: Shop, check):
    shop.stock()
    posted = shop.draft()
    quote = check(posted)
    assert (posted.status_code, quote["state"], quote["revision"]) == (201, "draft", 1)
    assert (quote["complete"], quote["indicative"]) == (True, False)
    assert quote["total"] == quote["document"]["totals"]["total"]
    assert sum(Decimal(line["extended_net"]) for line in quote["document"]["lines"]) == Decimal(quote["total"])
    assert quote["request"]["valid_days"] == 30
    place, tag = posted.headers["Location"], posted.headers["ETag"]
    assert shop.seller.get(place).headers["ETag"] == tag
    assert shop.seller.get(place, If_None_Match=tag).status_code == 304
    for name, state in (("submit", "pending_approval"), ("approve", "approved"), ("issue", "issued")):
        answer = shop.step(name, quote["id"], tag=tag)
        assert (answer.status_code, check(answer)["state"]) == (200, state)
        assert shop.step(name, quote["id"], tag=tag).status_code == 412
        tag = answer.headers["ETag"]
    accepted = shop.step("accept", quote["id"], ACCEPTANCE, tag=tag)
    assert (accepted.json["state"], accepted.json["acceptance"]) == ("accepted", ACCEPTANCE)
    assert accepted.json["approval"]["approved_by"] == "acme-approver"


def test_what_it_says_is_served_to_the_byte(shop: Shop):
    shop.stock()
    quote = shop.issued()
    answer = shop.seller.get(f"{QUOTES}/{quote['id']}.json")
    assert f"sha256:{hashlib.sha256(answer.data).hexdigest()}" == quote["sha256"]
    assert answer.json == quote["document"]
    assert shop.seller.get(answer.request.path, If_None_Match=answer.headers["ETag"]).status_code == 304
    assert shop.seller.get(f"{QUOTES}/quo_0.json").status_code == 404


def test_an_indicative_quote_says_so_and_is_not_issued(shop: Shop, check):
    quote = check(shop.draft())
    assert (quote["indicative"], quote["complete"], quote["total"]) == (True, False, None)
    assert quote["document"]["disclaimers"][0].startswith("INDICATIVE")
    shop.step("submit", quote["id"])
    shop.step("approve", quote["id"])
    refused = shop.step("issue", quote["id"])
    assert (refused.status_code, "INDICATIVE" in refused.json["detail"]) == (409, True)
    assert read(shop, quote["id"])["state"] == "approved"


MAY = {
    Role.REQUESTER: set(), Role.OPERATOR: set(), Role.SELLER: {"sell"}, Role.APPROVER: {"sell", "approve"},
    Role.ADMIN: {"sell", "approve"},
}  # fmt: skip


@pytest.mark.parametrize("role", Role)
def test_sellers_sell_and_approvers_approve(role, shop: Shop, speaker):
    quote = shop.draft().json
    somebody = speaker("acme", role)
    answers = {
        "sell": [
            somebody.get(QUOTES),
            somebody.get(f"{QUOTES}/{quote['id']}"),
            somebody.post(QUOTES, shop.body()),
            somebody.put(f"{QUOTES}/{quote['id']}", shop.body(), If_Match="*"),
            *(shop.step(name, quote["id"], STEPS[name], who=somebody) for name in ("issue", "accept", "revise")),
        ],
        "approve": [shop.step(name, quote["id"], STEPS[name], who=somebody) for name in ("approve", "reject")],
    }
    for what, found in answers.items():
        assert {answer.status_code == 403 for answer in found} == {what not in MAY[role]}, what


def test_nobody_approves_their_own_even_through_a_revision(shop: Shop, speaker):
    shop.stock()
    both = shop.approver.post(QUOTES, shop.body()).json
    shop.step("submit", both["id"])
    refused = shop.step("approve", both["id"])
    assert (refused.status_code, refused.json["type"]) == (403, "/problems/forbidden")
    shop.step("approve", both["id"], who=shop.admin)
    shop.step("issue", both["id"])
    revised = shop.step("revise", both["id"], {}).json
    shop.step("submit", revised["id"])
    assert shop.step("approve", revised["id"]).status_code == 403
    assert shop.step("approve", revised["id"], who=shop.admin).status_code == 200


WRONG = [
    ({"discount_fraction": "1.01"}, "discount_fraction"),
    ({"discount_fraction": "-0.1"}, "discount_fraction"),
    ({"discount_fraction": 0.1}, "discount_fraction"),
    ({"line_discounts": {"support": "2"}}, "line_discounts.support"),
    ({"quantities": {"server": -1}}, "quantities.server"),
    ({"currency": "EUR"}, "fx"),
    ({"option": 99}, "option"),
    ({"option": 0}, "option"),
    ({"term_months": 0}, "term_months"),
    ({"valid_days": 1, "valid_until": "2027-01-01"}, "valid_until"),
    ({"customer": {}}, "customer.name"),
    ({"end_user": {"end_use": "peace"}}, "end_user.end_use"),
    *(
        ({name: "x"}, name)
        for name in (
            "state", "total", "number", "tenant_id", "approved_by", "revision", "version", "seller", "sha256", "id",
            "authors", "document", "approval", "created_at", "complete", "indicative", "role",
        )
    ),
]  # fmt: skip


def test_what_is_wrong_or_not_the_callers_to_say_is_refused_by_name(shop: Shop):
    quote = shop.draft().json
    for changes, field in WRONG:
        answers = [
            shop.draft(**changes),
            shop.seller.put(f"{QUOTES}/{quote['id']}", shop.body(**changes), If_Match="*"),
        ]
        for refused in answers:
            assert refused.status_code == 422, changes
            assert field in {error["field"] for error in refused.json["errors"]}, changes
    assert [each["id"] for each in shop.seller.get(QUOTES).json["items"]] == [quote["id"]]
    assert read(shop, quote["id"]) == quote


@pytest.mark.parametrize("name", sorted(set(STEPS) - {"submit", "approve", "issue"}))
def test_a_step_takes_its_own_fields_only(name, shop: Shop):
    quote = shop.draft().json
    for field in ("state", "approved_by", "total"):
        assert shop.step(name, quote["id"], {**STEPS[name], field: "x"}).status_code == 422
    assert read(shop, quote["id"]) == quote


@pytest.mark.parametrize("name", STEPS)
def test_every_change_needs_its_condition(name, shop: Shop):
    quote = shop.draft().json
    path = f"{QUOTES}/{quote['id']}/{name}"
    who = shop.admin
    headers = {"Authorization": f"Bearer {who.token}"}
    sent = {} if STEPS[name] is None else {"json": STEPS[name]}
    assert who.client.post(path, headers=headers, **sent).status_code == 428
    assert who.client.post(path, headers=headers | {"If-Match": '"x"'}, **sent).status_code == 412
    assert shop.seller.put(f"{QUOTES}/{quote['id']}", shop.body()).status_code == 428
    assert read(shop, quote["id"]) == quote


def test_of_two_editors_one_is_told_to_read_again(shop: Shop):
    posted = shop.draft()
    path, tag = posted.headers["Location"], posted.headers["ETag"]
    first = shop.seller.put(path, shop.body(valid_days=5), If_Match=tag)
    assert (first.status_code, first.json["version"]) == (200, 2)
    assert shop.seller.put(path, shop.body(valid_days=6), If_Match=tag).status_code == 412
    assert shop.seller.get(path).json == first.json


def test_another_tenants_quote_run_and_book_look_like_none(shop: Shop, speaker, work):
    shop.stock()
    rival = open_shop(speaker, work, "rival")
    quote = shop.issued()
    book = shop.admin.get("/v1/price-books").json["items"][0]["id"]
    path, unknown = f"{QUOTES}/{quote['id']}", f"{QUOTES}/quo_00000000000000000000000000000000"
    for suffix in ("", ".json", "/revisions", f"/diff/{quote['id']}"):
        foreign, none = rival.seller.get(path + suffix), rival.seller.get(unknown + suffix)
        assert (foreign.status_code, none.status_code) == (404, 404)
        assert foreign.json["detail"].replace(quote["id"], "x") == none.json["detail"].replace(
            unknown.split("/")[3], "x"
        )
    assert rival.seller.put(path, rival.body(), If_Match="*").status_code == 404
    for name, body in STEPS.items():
        assert rival.step(name, quote["id"], body, who=rival.admin).status_code == 404
    assert rival.seller.post(QUOTES, shop.body()).status_code == 404
    assert rival.seller.post(QUOTES, rival.body(price_book_id=book)).status_code == 404
    assert rival.seller.get(QUOTES).json == {"items": []}
    assert rival.seller.get(f"{QUOTES}?number={quote['number']}").json == {"items": []}
    assert rival.seller.get(f"{QUOTES}?at_risk=true&within_days=366").json == {"items": []}
    theirs = rival.draft()
    assert rival.seller.get(f"{QUOTES}/{theirs.json['id']}/diff/{quote['id']}").status_code == 404
    assert "Example" not in rival.seller.get(path).text
    assert theirs.json["indicative"] is True
    assert read(shop, quote["id"]) == quote


def test_under_a_key_it_is_written_once_and_revised_once(shop: Shop):
    shop.stock()
    first, again = (shop.seller.post(QUOTES, shop.body(), Idempotency_Key="once") for _ in range(2))
    assert (again.status_code, again.data, again.headers["Idempotency-Replayed"]) == (201, first.data, "true")
    assert shop.seller.post(QUOTES, shop.body(valid_days=9), Idempotency_Key="once").status_code == 422
    issued = shop.issued()
    path = f"{QUOTES}/{issued['id']}/revise"
    revised = [shop.seller.post(path, {}, If_Match="*", Idempotency_Key="two") for _ in range(2)]
    assert revised[0].data == revised[1].data
    tag = shop.seller.get(f"{QUOTES}/{issued['id']}").headers["ETag"]
    for name in ("submit", "approve", "issue"):
        shop.step(name, revised[0].json["id"])
    # The old revision is superseded by now; the request that was sent again is answered as it was.
    late = shop.seller.post(path, {}, If_Match=tag, Idempotency_Key="two")
    assert (late.status_code, late.data) == (201, revised[0].data)
    assert shop.seller.post(path, {}, If_Match=tag, Idempotency_Key="three").status_code == 412
    revisions = shop.seller.get(f"{QUOTES}/{issued['id']}/revisions").json["items"]
    assert [each["revision"] for each in revisions] == [2, 1]


def test_a_revision_shows_what_changed_line_by_line(shop: Shop, check):
    shop.stock()
    old = shop.issued()
    shop.stock(price="1100.00")
    new = check(shop.step("revise", old["id"], {}))
    found = check(shop.seller.get(f"{QUOTES}/{old['id']}/diff/{new['id']}"))
    assert {change["quantity"] for change in found["difference"]["causes"]} >= {"price_book.version"}
    quantities = {change["quantity"] for line in found["difference"]["lines"] for change in line["changes"]}
    assert quantities >= {"unit_list", "extended_net"}
    assert "totals.total" in {change["quantity"] for change in found["difference"]["sums"]}
    same = shop.seller.get(f"{QUOTES}/{old['id']}/diff/{old['id']}")
    assert same.json["difference"] == {"causes": [], "lines": [], "sums": []}
    other = shop.draft().json
    assert shop.seller.get(f"{QUOTES}/{old['id']}/diff/{other['id']}").status_code == 409


def test_lists_are_narrowed_paged_and_told_at_risk(shop: Shop, check):
    shop.stock()
    ids = [shop.draft(valid_days=days, customer={"name": f"n{days}"}).json["id"] for days in (3, 60, 4)]
    seen, query = [], "state=draft&limit=2"
    while query:
        page = check(shop.seller.get(f"{QUOTES}?{query}"))
        seen += [item["id"] for item in page["items"]]
        query = f"state=draft&limit=2&cursor={page['next_cursor']}" if "next_cursor" in page else ""
    assert sorted(seen) == sorted(ids)
    assert [item["id"] for item in shop.seller.get(f"{QUOTES}?customer=n60").json["items"]] == [ids[1]]
    risky = check(shop.seller.get(f"{QUOTES}?at_risk=true"))["items"]
    assert {item["id"] for item in risky} == {ids[0], ids[2]}
    assert {risk["kind"] for item in risky for risk in item["risks"]} == {"validity_ends"}
    assert shop.seller.get(f"{QUOTES}?at_risk=true&within_days=3").json["items"][0]["id"] == ids[0]
    page = shop.seller.get(f"{QUOTES}?at_risk=true&limit=1").json
    rest = shop.seller.get(f"{QUOTES}?at_risk=true&limit=1&cursor={page['next_cursor']}").json
    assert {page["items"][0]["id"], rest["items"][0]["id"]} == {ids[0], ids[2]}
    for query in (
        "within_days=3",
        "at_risk=true&state=draft",
        "at_risk=true&within_days=367",
        "at_risk=yes",
        "state=x",
    ):
        assert shop.seller.get(f"{QUOTES}?{query}").status_code == 422, query


def test_each_step_has_one_audit_event(shop: Shop, check):
    shop.stock()
    quote = shop.issued()
    shop.step("issue", quote["id"])
    shop.step("accept", quote["id"], ACCEPTANCE)
    found = check(shop.admin.get(f"/v1/audit-events?resource_id={quote['id']}&resource_kind=quote"))["items"]
    assert sorted(event["action"] for event in found) == [
        "quote.accepted", "quote.approved", "quote.created", "quote.issued", "quote.submitted",
    ]  # fmt: skip


def test_a_run_that_cannot_be_quoted_is_told_why(shop: Shop, acme: Speaker):
    other = {
        "workload": {"kind": "training", "model": "llama-3.1-8b", "method": "sft", "tokens": 1e9, "target": {"gpus": 8}}
    }
    queued = acme.post("/v1/workloads", other).json["id"]
    refused = shop.draft(run_id=queued)
    assert (refused.status_code, "Retry-After" in refused.headers) == (409, True)
    assert shop.draft(run_id="run_0").status_code == 404


@pytest.mark.parametrize("seed", [1, 2])
def test_no_body_breaks_the_service(seed, shop: Shop):
    chance = random.Random(seed)
    whole = {
        **QUOTE_BODIES["quote-with-end-user-and-tco"],
        **{
            name: value
            for name, value in QUOTE_BODIES["quote-with-discounts"].items()
            if name not in ("fx", "currency")
        },
        "run_id": shop.run_id,
        "line_discounts": {"support": "0.12"},
    }
    seen = set()
    for _ in range(60):
        body = mutated(whole, chance)
        answer = shop.seller.post(QUOTES, body)
        assert answer.status_code in {201, 404, 422}, (seed, body, answer.text)
        seen.add(answer.status_code)
    assert seen >= {201, 422}
