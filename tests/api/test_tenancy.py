"""The tenancy sweep, generated from the document: another tenant's ids are nobody's, everywhere and for all roles."""

import re
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from flask.testing import FlaskClient

from scripts.faulting.answer import Answer
from scripts.faulting.cases import tenancy
from scripts.faulting.failpoints import Failpoints
from scripts.faulting.sweep import OPEN_PARAMETERS, PLACES, nobody, operations, parameters, plain, unlike
from service.access import Role
from tests.api.conftest import Speaker
from tests.api.selling import SMALL, open_shop

CANARY = "canary-of-bolt"


class Heard(NamedTuple):
    status: int
    body: bytes
    headers: str = ""


def belongings(speaker, work, tenant: str) -> dict[str, str]:
    """One resource of each kind, with the tenant's canary wherever a caller may write."""
    shop = open_shop(speaker, work, tenant)
    shop.stock()
    name = f"canary-of-{tenant}"
    quote = shop.issued(customer={"name": name})
    other = shop.draft(customer={"name": name}).json
    second = shop.seller.post("/v1/workloads", SMALL | {"name": name, "labels": {"who": name}}).json
    work()
    batch = shop.seller.post("/v1/batches", [SMALL | {"name": name}]).json
    work()
    key = shop.admin.post("/v1/keys", {"principal": name, "role": "requester"}).json
    return {
        **shop.schedule(name),
        **shop.webhook(name, "https://hooks.example.com/x"),
        "workload_id": second["workload_id"],
        "run_id": shop.run_id,
        "other_id": second["id"],
        "batch_id": batch["id"],
        "price_book_id": shop.admin.get("/v1/price-books").json["items"][0]["id"],
        "quote_id": quote["id"],
        "other_quote_id": other["id"],
        "key_id": key["id"],
    }


@pytest.fixture
def both(speaker, work):
    return belongings(speaker, work, "acme"), belongings(speaker, work, "bolt")


def sender(speaker: Speaker, heard: list[Heard]):
    # Not held against the document: half of these methods are not in it.
    client = FlaskClient(speaker.client.application)

    def send(method: str, path: str, body: Any, headers: Any) -> Heard:
        sent = {"Authorization": f"Bearer {speaker.token}", **headers}
        text = body if isinstance(body, str | bytes) else None
        given = {"data": text} if text is not None else {"json": body} if body is not None else {}
        answer = client.open(path, method=method, headers=sent, **given)
        heard.append(Heard(answer.status_code, answer.data, str(answer.headers)))
        return heard[-1]

    return send


def test_ids_of_another_tenant_are_answered_as_ids_of_nobody(client, speaker, both):
    own, foreign = both
    document = client.get("/openapi.json").json
    assert parameters(document) == set(foreign)
    heard: list[Heard] = []
    wrong = [
        f"{role}: {words}"
        for role in Role
        for words in unlike(sender(speaker("acme", role), heard), document, foreign=foreign, own=own)
    ]
    assert not wrong
    assert len(heard) > 1000
    told = [answer for answer in heard if CANARY.encode() in answer.body or CANARY in answer.headers]
    assert not told
    # The owner finds all of it as it was.
    owner = speaker("bolt", Role.ADMIN)
    for kind in ("workload", "run", "batch", "quote", "key"):
        found = owner.get(f"/v1/{kind}{'es' if kind == 'batch' else 's'}/{foreign[f'{kind}_id']}")
        assert found.status_code == 200
        assert found.json.get("state", found.json.get("status", "live")) in {"live", "done", "issued"}


def test_the_sweep_reaches_every_resource_and_would_notice(client):
    document = client.get("/openapi.json").json
    names = {name for operation in operations(document) for name in operation.names}
    in_document = {part[1:-1] for path in document["paths"] for part in path.split("/") if part.startswith("{")}
    assert {name.partition("}")[0] for name in in_document} <= names | OPEN_PARAMETERS
    assert {operation.method for operation in operations(document)} == {"GET", "POST", "PUT", "PATCH", "DELETE"}
    ids = dict.fromkeys(names - set(PLACES), f"x_{'1' * 32}")

    def tells(method: str, path: str, body: Any, headers: Any) -> Heard:
        return Heard(200 if "1" * 32 in path else 404, b"{}")

    assert len(unlike(tells, document, foreign=ids, own=ids)) >= len(list(operations(document)))


def test_bodies_are_compared_but_for_what_the_caller_named():
    first = Heard(404, b'{"detail":"no run_1","request_id":"a"}')
    assert plain(first, ["run_1"]) == plain(Heard(404, b'{"detail":"no run_2","request_id":"b"}'), ["run_2"])
    assert plain(first, ["run_1"]) != plain(Heard(404, b'{"detail":"not yours","request_id":"a"}'), ["run_1"])
    assert nobody("run_0123") == "run_ffff"


def test_lists_filters_cursors_and_tags_of_another_tenant_tell_nothing(speaker, both):
    own, foreign = both
    mine, theirs = speaker("acme", Role.ADMIN), speaker("bolt", Role.ADMIN)
    for kind in ("runs", "workloads", "batches", "quotes", "price-books", "audit-events", "keys"):
        path = f"/v1/{kind}"
        cursor = theirs.get(f"{path}?limit=1").json.get("next_cursor")
        for query in ("", *([f"&cursor={cursor}"] if cursor else [])):
            answer = mine.get(f"{path}?limit=100{query}")
            assert answer.status_code == 200
            assert not any(value in answer.text for value in (CANARY, *foreign.values())), path
    for path in (
        f"/v1/runs?workload_id={foreign['workload_id']}",
        f"/v1/quotes?run_id={foreign['run_id']}",
        f"/v1/audit-events?resource_id={foreign['quote_id']}",
    ):
        assert mine.get(path).json["items"] == []
    tag = theirs.get(f"/v1/quotes/{foreign['quote_id']}").headers["ETag"]
    assert mine.get(f"/v1/quotes/{own['quote_id']}", If_None_Match=tag).status_code == 200
    quote = {"customer": {"name": "x"}, "currency": "USD"}
    refused = mine.post("/v1/quotes", quote | {"run_id": foreign["run_id"]})
    unknown = mine.post("/v1/quotes", quote | {"run_id": nobody(foreign["run_id"])})
    assert plain(Heard(refused.status_code, refused.data), [foreign["run_id"]]) == plain(
        Heard(unknown.status_code, unknown.data), [nobody(foreign["run_id"])]
    )


class Stage:
    """A scene of case 36 without a rig: the application itself answers, or somebody in between."""

    def __init__(self, speaker, document, own, foreign):
        self.document, self.own, self.foreign = document, own, foreign
        self.people = {tenant: speaker(tenant, Role.ADMIN) for tenant in ("acme", "bolt")}
        self.driver = SimpleNamespace(person=lambda tenant, _: self.people[tenant], send=self.send)
        self.questions = SimpleNamespace(key=lambda: f"key-{len(self.heard)}")
        self.heard: list[tuple[str, str, int]] = []
        self.found: list[str] = []
        # Whether each text of each body is tried too.
        self.texts = False

    def between(self, person, path):
        """Who is answered, and what they have asked for."""
        return person, path

    def send(self, person, method, path, body=None, *, headers=None):
        person, path = self.between(person, path)
        answer = FlaskClient(person.client.application).open(
            path,
            method=method,
            headers={"Authorization": f"Bearer {person.token}", **(headers or {})},
            **({} if body is None else {"json": body}),
        )
        self.heard.append((method, path, answer.status_code))
        named = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(status=answer.status_code, headers=named, body=answer.data, took_s=0.0)

    def times(self, quick, full):
        return full if self.texts else quick

    def note(self, *_):
        """Figures are for the report."""

    def expect(self, holds, _, words):
        if not holds:
            self.found.append(words)

    def references(self):
        return tenancy._references(self, self.document, self.own, self.foreign)

    def keys(self):
        return tenancy._keys(self, self.document, self.own, self.foreign)


@pytest.fixture
def stage(client, speaker, both):
    return Stage(speaker, client.get("/openapi.json").json, *both)


def test_what_the_case_asks_of_filters_bodies_and_keys_holds(stage):
    stage.texts = True
    assert stage.references() > 200
    assert stage.keys() == 7
    assert stage.found == []
    made = [path for method, path, status in stage.heard[-14:] if (method, status // 100) == ("POST", 2)]
    assert len(made) == 14
    assert made.count("/v1/quotes") == 2


@pytest.mark.parametrize(
    ("path", "name"),
    [("/v1/runs", "workload_id"), ("/v1/quotes", "run_id"), ("/v1/audit-events", "resource_id")],
)
def test_the_case_finds_a_filter_that_tells_of_another_tenant(stage, path, name):
    leaking = f"{path}?{name}={stage.foreign[{'resource_id': 'quote_id'}.get(name, name)]}"
    stage.between = lambda person, asked: (stage.people["bolt"] if asked == leaking else person, asked)
    stage.references()
    assert stage.found == [f"{name} of GET {path}: 200 and not as nobody's, 200"]
    assert ("GET", leaking, 200) in stage.heard


def test_the_case_finds_a_filter_that_is_passed_over(stage):
    stage.between = lambda person, asked: (person, re.sub(r"^(/v1/runs)\?workload_id=.*", r"\1", asked))
    stage.references()
    assert stage.found == ["workload_id of GET /v1/runs: 200 and not as nobody's, 200"]


def test_hosts_that_the_document_shows_lead_outside_while_keys_are_tried(stage, tmp_path):
    points = Failpoints(tmp_path)
    with tenancy._leading_outside(SimpleNamespace(rig=SimpleNamespace(failpoints=points)), stage.document):
        assert set(points.names()) >= {"hooks.example.com"}
    assert points.names() == {}


def test_the_case_finds_a_key_that_opens_what_another_tenant_was_answered(stage):
    stage.own = stage.foreign
    stage.between = lambda _, asked: (stage.people["bolt"], asked)
    assert stage.keys() == 7
    assert len([words for words in stage.found if words.endswith("is answered as that tenant was")]) == 7


def test_the_case_finds_that_a_key_was_tried_with_nothing_that_could_be_done(stage):
    stage.own = stage.foreign = {}
    assert stage.keys() == 7
    assert stage.found == ["/v1/quotes under a key of another tenant's: 404, and 404 of that tenant"]
