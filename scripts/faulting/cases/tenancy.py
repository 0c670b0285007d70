"""Cases E: what is another tenant's, wherever a call may name it."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from statistics import quantiles
from typing import Any
from urllib.parse import urlsplit

from scripts.faulting.answer import Answer
from scripts.faulting.belongings import belongings, document_of, only_of
from scripts.faulting.case import case
from scripts.faulting.driver import Person
from scripts.faulting.references import Described, Pair, described, filters, members, with_ids
from scripts.faulting.scene import Scene
from scripts.faulting.shop import PRICES
from scripts.faulting.sweep import parameters, plain, shown_body, unlike
from service.access import Role

_OWN, _THEIRS = "acme", "bolt"
_REFUSED = {404, 409, 422}
# Where hosts that the document shows lead; nobody is called there, for the webhook that it shows is disabled.
_PUBLIC = "93.184.215.14"
_REPLAYED = "idempotency-replayed"
_ID = re.compile(rb"\b[a-z]+_[0-9a-f]{32}\b")


@case(36, "another tenant's ids in every operation", quick=True)
def other_tenants_ids(scene: Scene) -> None:
    """Answered as an id that nobody has, without any effect, by every method, in every place, and for every role.

    How long each takes is told and held against nothing: on a shared machine a limit would find what runs beside.
    """
    document = document_of(scene)
    own, foreign = belongings(scene, _OWN), belongings(scene, _THEIRS)
    unknown = parameters(document) - set(foreign)
    scene.expect(not unknown, "I3", f"the sweep has nothing of another tenant for {sorted(unknown)}")
    scene.checker.wait_until_at_rest()
    before = scene.holdings(_THEIRS)
    scene.expect(len(before) > 20, "I3", f"only {sorted(before)} are held against what they were")
    tried = {
        "in paths": _paths(scene, document, own, foreign),
        "in cursors and tags": _marks(scene, document, own, foreign),
        "in configuration": _configuration(scene),
        "in filters and bodies": _references(scene, document, own, foreign),
    }
    scene.checker.wait_until_at_rest()
    after = scene.holdings(_THEIRS)
    changed = sorted(name for name in before if before[name] != after[name])
    scene.expect(not changed, "I3", f"calls with another tenant's ids changed {changed} of that tenant")
    with _leading_outside(scene, document):
        tried["in keys"] = _keys(scene, document, own, foreign)
    _tidy(scene)
    scene.seen.bad_inputs += sum(tried.values())
    scene.note("calls with another tenant's ids", tried)


def _paths(scene: Scene, document: Mapping[str, Any], own: Mapping[str, str], foreign: Mapping[str, str]) -> int:
    tried, took_s = 0, (list[float](), list[float]())
    # tests/api/test_tenancy.py tries every role in every run of the tests, on SQLite.
    for role in Role if scene.times(0, 1) else (Role.ADMIN,):
        person = scene.driver.person(_OWN, role)

        def send(method: str, path: str, body: Any, headers: Mapping[str, str], person: Person = person) -> Answer:
            nonlocal tried
            tried += 1
            answer = scene.driver.send(person, method, path, body, headers=headers)
            took_s[not any(each in path for each in foreign.values())].append(answer.took_s)
            return answer

        for words in unlike(send, document, foreign=foreign, own=own):
            scene.expect(holds=False, invariant="I3", words=f"{role}: {words}")
    told = [[round(1000 * each, 2) for each in quantiles(times, n=20)[9::9]] for times in took_s]
    scene.note("ms for another tenant's id and for nobody's, p50 and p95", told)
    return tried


def _references(scene: Scene, document: Mapping[str, Any], own: Mapping[str, str], foreign: Mapping[str, str]) -> int:
    """In each filter and each member of a body that the document has."""
    person = scene.driver.person(_OWN, Role.ADMIN)
    # One of one's own quotes is out, the other still written: each step asks for its kind.
    of_a_draft = {**own, "quote_id": own["other_quote_id"]}
    of_quotes = {**document, "paths": _of_quotes(document)}
    texts = bool(scene.times(0, 1))
    pairs = [
        *filters(document, own=own, foreign=foreign, written=(only_of(_THEIRS), f"{_THEIRS}-{Role.SELLER}")),
        *members(document, own=own, foreign=foreign, texts=texts),
        *members(of_quotes, own=of_a_draft, foreign=foreign, texts=False),
    ]
    known = (*foreign.values(), only_of(_THEIRS))
    asked: dict[str, set[int | None]] = {}
    for pair in pairs:
        calls = ((pair.theirs, pair.body), (pair.nobodys, pair.other_body))
        theirs, nobodys = (
            scene.driver.send(person, pair.method, path, body, headers=pair.headers) for path, body in calls
        )
        scene.expect(
            _tells_nothing(pair, theirs, nobodys, known=known),
            "I3",
            f"{pair.words}: {theirs.status} and not as nobody's, {nobodys.status}",
        )
        asked.setdefault(pair.words, set()).add(theirs.status)
        is_refused = theirs.status in _REFUSED
        scene.expect(is_refused or not pair.names_one, "I3", f"{pair.words} of another tenant: {theirs.status}")
    named = {pair.words for pair in pairs if pair.names_one}
    filtered = {pair.words for pair in pairs if pair.body is None}
    for places, looked_at in ((named, {404, 422}), (filtered, {200})):
        unasked = [words for words in sorted(places) if not asked[words] & looked_at]
        scene.expect(places and not unasked, "I3", f"refused before the id was looked at: {unasked}")
    scene.note("places that name a thing in a body", sorted(named))
    return len(pairs)


def _tells_nothing(pair: Pair, theirs: Answer, nobodys: Answer, *, known: Collection[str]) -> bool:
    """Of what is another tenant's: a filter by it finds nothing, and a body with it is answered as with nobody's, or
    taken without a word of what else is `known` to be that tenant's.
    """
    if pair.body is None:
        return (_is_empty(theirs) or not theirs.is_success) and _alike(pair, theirs, nobodys)
    # A text that is no reference is taken, and what was taken once may be no longer possible.
    is_taken = theirs.is_success and (nobodys.is_success or nobodys.status == 409) and not pair.names_one
    if is_taken:
        return not any(each.encode() in theirs.body for each in known if each != pair.named[0])
    return _alike(pair, theirs, nobodys)


def _is_empty(answer: Answer) -> bool:
    """A page without items, or a stream without lines."""
    return not answer.body or (answer.json() or {}).get("items") == []


def _alike(pair: Pair, theirs: Answer, nobodys: Answer) -> bool:
    """But for what was named."""
    first, second = (
        plain(replace(answer, body=answer.body.replace(named.encode(), b"NAMED")), ())
        for named, answer in zip(pair.named, (theirs, nobodys), strict=True)
    )
    return first == second


def _of_quotes(document: Mapping[str, Any]) -> dict[str, Any]:
    return {path: known for path, known in document["paths"].items() if "{quote_id}" in path}


def _marks(scene: Scene, document: Mapping[str, Any], own: Mapping[str, str], foreign: Mapping[str, str]) -> int:
    """A tag or a cursor that another tenant was given opens nothing."""
    mine, theirs = (scene.driver.person(tenant, Role.ADMIN) for tenant in (_OWN, _THEIRS))
    tried = 0
    of_theirs = {operation.template: operation for operation in described(document, foreign)}
    for operation in described(document, own):
        other = of_theirs[operation.template]
        # Who asks for a document has it made: the owner would change what is looked at.
        if operation.method != "GET" or operation.path.endswith((".pdf", ".xlsx", ".csv")):
            continue
        if operation.takes("query", "cursor"):
            page = scene.driver.send(theirs, "GET", f"{other.path}?limit=1").json()
            if cursor := page.get("next_cursor"):
                answer = scene.driver.send(mine, "GET", f"{operation.path}?limit=100&cursor={cursor}")
                told = [known for known in foreign.values() if known.encode() in answer.body]
                scene.expect(not told, "I3", f"{operation.template} after a cursor of another tenant tells of {told}")
                tried += 1
        tried += operation.path != other.path and _tag(scene, operation, other)
    return tried


def _tag(scene: Scene, operation: Described, other: Described) -> int:
    """1 where what they may read has a tag."""
    mine, theirs = (scene.driver.person(tenant, Role.ADMIN) for tenant in (_OWN, _THEIRS))
    tag = scene.driver.send(theirs, "GET", other.path).headers.get("etag")
    if tag is None:
        return 0
    for path, is_right in ((operation.path, (304).__ne__), (other.path, (404).__eq__)):
        status = scene.driver.send(mine, "GET", path, headers={"If-None-Match": tag}).status
        scene.expect(is_right(status or 0), "I3", f"GET {path} with a tag of another tenant's: {status}")
    return 1


def _configuration(scene: Scene) -> int:
    """A schedule that selects by what another tenant has written finds nothing."""
    person = scene.driver.person(_OWN, Role.ADMIN)
    asked = {"name": "theirs", "selection": {"labels": {"of": only_of(_THEIRS)}}, "cron": "0 3 * * *"}
    schedule = scene.driver.send(person, "POST", "/v1/schedules", asked).json()
    occurrence = scene.driver.send(person, "POST", f"/v1/schedules/{schedule['id']}/run").json()
    scene.checker.wait_until_at_rest()
    ended = scene.driver.send(person, "GET", f"/v1/occurrences/{occurrence['id']}").json()
    found = scene.count(b"SELECT count(*) FROM occurrence_items WHERE occurrence_id = %s", occurrence["id"])
    scene.expect(ended["status"] == "done", "I1", f"an occurrence that selects nothing is {ended['status']}")
    scene.expect(not found, "I3", f"a schedule that selects another tenant's label found {found} workloads")
    return 2


def _keys(scene: Scene, document: Mapping[str, Any], own: Mapping[str, str], foreign: Mapping[str, str]) -> int:
    """An idempotency key of another tenant's is a new one: each gets what it asks for, and is told of its own alone."""
    tried = 0
    for operation in described(document, {}):
        media_type, shown = shown_body(document, operation.known)
        if not operation.takes("header", "Idempotency-Key") or media_type is None:
            continue
        headers = {"Idempotency-Key": scene.questions.key(), "Content-Type": media_type}
        theirs, mine = (
            scene.driver.send(
                scene.driver.person(tenant, Role.ADMIN), "POST", operation.path, with_ids(shown, ids), headers=headers
            )
            for tenant, ids in ((_THEIRS, foreign), (_OWN, own))
        )
        words = f"{operation.template} under a key of another tenant's"
        # Where both are refused nothing was tried.
        done = theirs.is_success and mine.is_success
        scene.expect(done, "I3", f"{words}: {mine.status}, and {theirs.status} of that tenant")
        scene.expect(_REPLAYED not in mine.headers, "I3", f"{words} is answered as that tenant was")
        shared = set(_ID.findall(theirs.body)) & set(_ID.findall(mine.body)) if done else set()
        scene.expect(not shared, "I3", f"{words} tells of {shared}")
        tried += 1
    return tried


@contextmanager
def _leading_outside(scene: Scene, document: Mapping[str, Any]) -> Iterator[None]:
    """In the block the names of hosts that the document shows are of the public internet, wherever the rig runs."""
    shown = [example["value"] for example in document["components"]["examples"].values()]
    hosts = {urlsplit(value["url"]).hostname for value in shown if isinstance(value, dict) and "url" in value}
    scene.rig.failpoints.lead({host: _PUBLIC for host in hosts if host is not None})
    try:
        yield
    finally:
        scene.rig.failpoints.lead({})


def _tidy(scene: Scene) -> None:
    """What acts by itself later, and leads to hosts that are none."""
    for tenant in (_OWN, _THEIRS):
        admin = scene.driver.person(tenant, Role.ADMIN)
        for kind in ("webhooks", "schedules"):
            for known in scene.driver.send(admin, "GET", f"/v1/{kind}?limit=100").json()["items"]:
                scene.driver.send(admin, "DELETE", f"/v1/{kind}/{known['id']}", headers={"If-Match": "*"})


@case(37, "one workload of two tenants with other prices")
def shared_question(scene: Scene) -> None:
    """The sizing is one; a price of one tenant is in no answer of the other."""
    question = scene.questions.fresh()
    jobs = [scene.job(question, tenant=tenant) for tenant in ("acme", "bolt")]
    runs = []
    for job in jobs:
        assert job is not None
        scene.driver.follow(job)
        runs.append(scene.driver.send(scene.driver.person(job.tenant), "GET", f"/v1/runs/{job.run_id}").json())
    scene.expect(runs[0]["digest"] == runs[1]["digest"], "I5", "one question of two tenants has two identities")
    scene.expect(runs[0]["result"] == runs[1]["result"], "I5", "one question of two tenants has two answers")
    quotes = {tenant: scene.shop(tenant).issued()["document"] for tenant in ("acme", "bolt")}
    books = {quote["price_book"]["digest"] for quote in quotes.values()}
    scene.expect(len(books) == len(quotes), "I3", "two tenants with other prices are quoted from one price book")
    for tenant, other in (("acme", "bolt"), ("bolt", "acme")):
        told = [json.dumps(quotes[tenant]), *(json.dumps(run) for run in runs)]
        scene.expect(PRICES[tenant] in told[0], "I6", f"the quote of {tenant} is not at its prices")
        scene.expect(not any(PRICES[other] in words for words in told), "I3", f"{tenant} is told prices of {other}")
