"""The difference of two runs: nothing between equal ones, and else every cause and every effect with its size."""

import dataclasses
from decimal import Decimal

import pytest

from service.edge.context import attach
from service.planning.execute import execute
from service.runtime import Facts, Runtime, build_runtime
from tests.api.conftest import Speaker
from tests.schemas.requests import ALL, CHAT, FOLDING, PRETRAIN, SMALL_CHAT, changed

LISTS = ("causes", "outcome", "options", "servers_gone", "servers_added")


@pytest.fixture
def sized(acme: Speaker, work):
    """Posts a body and sees it done; the run with its result."""

    def make(body) -> dict:
        run = acme.post("/v1/workloads", body).json
        work()
        return acme.get(f"/v1/runs/{run['id']}").json

    return make


@pytest.fixture
def diff(acme: Speaker, check):
    def read(old: dict, new: dict) -> dict:
        return check(acme.get(f"/v1/runs/{old['id']}/diff/{new['id']}"))

    return read


@pytest.mark.parametrize("name", ALL)
def test_equal_runs_do_not_differ(name, sized, diff):
    first = sized({**ALL[name], "name": "first"})
    second = sized({**ALL[name], "name": "second", "labels": {"a": "b"}})
    assert first["id"] != second["id"]
    for found in (diff(first, second), diff(first, first)):
        assert all(found[part] == [] for part in LISTS)
        assert found["old_digest"] == found["new_digest"] == first["digest"]


def test_a_changed_field_is_the_cause_and_the_options_are_the_effects(sized, diff):
    old = sized(SMALL_CHAT)
    new = sized(changed(SMALL_CHAT, "workload.demand.concurrency", 64_000))
    found = diff(old, new)
    assert (found["old_run_id"], found["new_run_id"]) == (old["id"], new["id"])
    assert found["causes"] == [
        {"kind": "workload", "field": "workload.demand.concurrency", "old": 16, "new": 64_000},
    ]
    best = [run["result"]["options"][0] for run in (old, new)]
    outcome = {change["quantity"]: change for change in found["outcome"]}
    assert "feasible" not in outcome
    gpus = outcome["recommended.gpus"]
    assert (gpus["old"], gpus["new"]) == tuple(option["gpus"] for option in best)
    assert gpus["change_fraction"] == pytest.approx(gpus["new"] / gpus["old"] - 1, abs=1e-6)


def values(option: dict) -> dict:
    return {
        "rank": option["rank"],
        "servers": option["servers"],
        "gpus": option["gpus"],
        "confidence_fraction": option["confidence_fraction"],
        "facility_power_kw": option["facility"]["facility_power_kw"],
        "cost.total_usd": option["cost"]["total_usd"],
        **{f"{name}.p50": metric["p50"] for name, metric in option["metrics"].items()},
    }


def best_by_server(run: dict) -> dict:
    """A server may be among the options in more than one shape; options are ranked."""
    return {option["server"]: values(option) for option in reversed(run["result"]["options"])}


def each_change(found: dict) -> list:
    return [(option, change) for option in found["options"] for change in option["changes"]]


def test_each_effect_is_what_the_two_results_say(sized, diff):
    old, new = sized(PRETRAIN), sized(changed(PRETRAIN, "workload.target.deadline_days", 15))
    found = diff(old, new)
    sides = [best_by_server(run) for run in (old, new)]
    told = {(option["server"], change["quantity"]): change for option, change in each_change(found)}
    assert len(told) == len(each_change(found))
    compared = 0
    for server in sides[0].keys() & sides[1].keys():
        for quantity in sides[0][server].keys() | sides[1][server].keys():
            before, after = (side[server].get(quantity) for side in sides)
            assert ((server, quantity) in told) == (before != after), (server, quantity)
            if before != after:
                change = told[server, quantity]
                assert (change["old"], change["new"]) == (before, after)
                if quantity == "rank":
                    # A place is no amount.
                    assert change["change_fraction"] is None
                elif before is not None and after is not None:
                    assert change["change_fraction"] == pytest.approx(float(after) / float(before) - 1, abs=2e-6)
                compared += 1
    assert compared > 20
    assert set(found["servers_gone"]) == sides[0].keys() - sides[1].keys()
    assert set(found["servers_added"]) == sides[1].keys() - sides[0].keys()


def test_the_other_way_round_is_the_same_in_reverse(sized, diff):
    old, new = sized(SMALL_CHAT), sized({**SMALL_CHAT, "constraints": {"cooling": "air"}})
    there, back = diff(old, new), diff(new, old)
    assert there["causes"] == [{"kind": "constraints", "field": "constraints.cooling", "old": None, "new": "air"}]
    assert there["servers_gone"]
    assert there["servers_added"] == []
    assert sorted(back["servers_added"]) == sorted(there["servers_gone"])


def test_what_no_longer_fits_is_the_outcome(sized, diff):
    old, new = sized(SMALL_CHAT), sized(changed(SMALL_CHAT, "workload.slo", {"ttft_ms": 1, "tpot_ms": 0.1}))
    found = diff(old, new)
    outcome = {change["quantity"]: (change["old"], change["new"]) for change in found["outcome"]}
    assert outcome["feasible"] == (True, False)
    assert outcome["recommended.server"] == (old["result"]["options"][0]["server"], None)
    assert outcome["shortfall.limit"] == (None, new["result"]["shortfall"]["limit"])
    assert {cause["field"] for cause in found["causes"]} >= {"workload.slo.ttft_ms", "workload.slo.tpot_ms"}
    assert found["options"] == []
    assert found["servers_gone"] == list(dict.fromkeys(option["server"] for option in old["result"]["options"]))


def test_runs_of_different_kinds_can_be_compared(sized, diff):
    found = diff(sized(PRETRAIN), sized(FOLDING))
    assert {"workload.kind", "workload.tokens", "workload.application"} <= {c["field"] for c in found["causes"]}


@pytest.fixture
def dearer(runtime: Runtime, queue) -> Runtime:
    """The same installation with a price book in which everything costs twice as much."""
    book = runtime.price_book
    lines = {
        name: dataclasses.replace(line, list_price_usd=line.list_price_usd and line.list_price_usd * 2)
        for name, line in book.lines.items()
    }
    doubled = dataclasses.replace(book, digest="sha256:dearer", lines=lines)
    return build_runtime(runtime.settings, facts=Facts(catalog=runtime.catalog, price_book=doubled), queue=queue)


def test_a_new_price_book_is_a_cause_and_costs_are_its_effect(sized, diff, acme: Speaker, dearer: Runtime):
    old = sized(CHAT)
    attach(acme.client.application, dearer)
    new = acme.post("/v1/workloads", changed(CHAT, "constraints.max_budget_usd", "90000000")).json
    execute(dearer, dearer.queue.take())
    found = diff(old, new)
    assert [cause["kind"] for cause in found["causes"]] == ["constraints", "price_book"]
    assert found["causes"][1] == {
        "kind": "price_book",
        "field": "versions.price_book",
        "old": old["versions"]["price_book_digest"],
        "new": "sha256:dearer",
    }
    costs = [change for _, change in each_change(found) if change["quantity"] == "cost.total_usd"]
    assert costs
    for cost in costs:
        assert Decimal(cost["new"]) > Decimal(cost["old"])
        assert cost["change_fraction"] > 0


def test_both_runs_must_be_the_callers_and_done(acme: Speaker, rival: Speaker, sized, check):
    mine = sized(SMALL_CHAT)
    for path in (f"/v1/runs/{mine['id']}/diff/{mine['id']}", f"/v1/runs/run_0/diff/{mine['id']}"):
        assert check(rival.get(path))["status"] == 404
    theirs = rival.post("/v1/workloads", SMALL_CHAT).json
    for old, new in ((mine, theirs), (theirs, mine)):
        assert check(acme.get(f"/v1/runs/{old['id']}/diff/{new['id']}"))["status"] == 404
    waiting = acme.post("/v1/workloads", PRETRAIN).json
    for old, new in ((mine, waiting), (waiting, mine)):
        answer = acme.get(f"/v1/runs/{old['id']}/diff/{new['id']}")
        assert check(answer)["status"] == 409
        assert waiting["id"] in answer.json["detail"]


def test_who_has_it_already_is_told_so(acme: Speaker, sized, check):
    first, second = sized(SMALL_CHAT), sized(PRETRAIN)
    path = f"/v1/runs/{first['id']}/diff/{second['id']}"
    tag = acme.get(path).headers["ETag"]
    again = acme.get(path, If_None_Match=tag)
    assert again.status_code == 304
    check(again)
