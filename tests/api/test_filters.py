"""Filters of the lists over HTTP: together with pages, told in the document, and refused where they mean nothing."""

import pytest

from tests.api.conftest import Speaker
from tests.schemas.requests import ALL, SMALL_CHAT, changed


@pytest.fixture
def three(acme: Speaker, work):
    """Ids of workloads and runs: one done, one cached, one of another kind that is queued."""
    posted = [
        acme.post("/v1/workloads", SMALL_CHAT | {"name": "one", "labels": {"team": "care", "tier": "gold:1"}}),
        acme.post("/v1/workloads", SMALL_CHAT | {"name": "two", "labels": {"team": "care"}}),
        acme.post("/v1/workloads", ALL["dynamics"] | {"name": "three", "labels": {"team": "lab"}}),
    ]
    return [answer.json for answer in posted[:1]] + [posted[1].json, posted[2].json]


@pytest.fixture
def listed(acme: Speaker, check):
    """The ids of the items of a list, oldest first."""

    def ids(path: str, name: str = "workload_id") -> list[str]:
        answer = acme.get(path)
        assert answer.status_code == 200, answer.text
        return [item[name] for item in check(answer)["items"]][::-1]

    return ids


def test_runs_by_what_became_of_them(acme: Speaker, work, listed):
    done = acme.post("/v1/workloads", SMALL_CHAT).json["id"]
    work()
    cached = acme.post("/v1/workloads", SMALL_CHAT).json["id"]
    hopeless = acme.post("/v1/workloads", changed(SMALL_CHAT, "workload.slo", {"ttft_ms": 1, "tpot_ms": 0.1})).json[
        "id"
    ]
    work()
    queued = acme.post("/v1/workloads", ALL["dynamics"]).json["id"]
    for query, expected in (
        ("feasible=true", {done, cached}),
        ("feasible=false", {hopeless}),
        ("cached=true", {cached}),
        ("cached=false", {done, hopeless, queued}),
        ("kind=science", {queued}),
        ("kind=inference&status=done&cached=false&feasible=true", {done}),
        ("status=queued&feasible=true", set()),
    ):
        assert set(listed(f"/v1/runs?{query}", "id")) == expected, query


@pytest.mark.parametrize("of", ["runs", "workloads"])
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("label=team:care", [0, 1]),
        ("label=team:care&label=tier:gold:1", [0]),
        ("label=tier:gold", []),
        ("label=team:care&label=team:lab", []),
        ("label=team%3Alab&kind=science", [2]),
        ("label=nothing:", []),
    ],
)
def test_labels(of, query, expected, three, listed):
    ids = listed(f"/v1/{of}?{query}", "workload_id" if of == "runs" else "id")
    assert sorted(ids) == sorted(three[number]["workload_id"] for number in expected)


def test_the_labels_of_a_run_are_those_that_its_workload_has_now(acme: Speaker, three, listed):
    path = f"/v1/workloads/{three[0]['workload_id']}"
    acme.put(path, SMALL_CHAT | {"labels": {"team": "new"}}, If_Match="*")
    assert set(listed("/v1/runs?label=team:new")) == {three[0]["workload_id"]}
    assert set(listed("/v1/runs?label=team:care")) == {three[1]["workload_id"]}


def test_workloads_by_name_and_archive(acme: Speaker, three, listed):
    first = three[0]["workload_id"]
    assert listed("/v1/workloads?name=two", "id") == [three[1]["workload_id"]]
    assert listed("/v1/workloads?name=tw", "id") == []
    acme.delete(f"/v1/workloads/{first}", If_Match="*")
    assert listed("/v1/workloads?archived=true", "id") == [first]
    assert first not in listed("/v1/workloads", "id") == listed("/v1/workloads?archived=false", "id")
    assert len(listed("/v1/workloads?archived=any", "id")) == 3
    assert listed("/v1/runs?label=tier:gold:1") == [first]


def test_times_are_from_and_before(acme: Speaker, three, listed):
    for path in ("/v1/runs", "/v1/workloads"):
        moments = sorted(item["created_at"] for item in acme.get(path).json["items"])
        assert len(listed(f"{path}?created_after={moments[0]}", "id")) == 3
        assert listed(f"{path}?created_before={moments[0]}", "id") == []
        between = listed(f"{path}?created_after={moments[0]}&created_before={moments[-1]}", "id")
        assert len(between) == sum(moment < moments[-1] for moment in moments)


def test_a_cursor_goes_on_under_its_filter(acme: Speaker, three, check):
    seen, query = [], "label=team:care&limit=1"
    while query:
        page = check(acme.get(f"/v1/runs?{query}"))
        seen += [item["workload_id"] for item in page["items"]]
        query = f"label=team:care&limit=1&cursor={page['next_cursor']}" if "next_cursor" in page else ""
    assert sorted(seen) == sorted(each["workload_id"] for each in three[:2])


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("runs", "feasible=yes", "feasible"),
        ("runs", "feasible=True", "feasible"),
        ("runs", "cached=1", "cached"),
        ("runs", "kind=training2", "kind"),
        ("runs", "label=team", "label.0"),
        ("runs", "label=:care", "label.0.team"),
        ("runs", "label=team:care&label=x", "label.1"),
        ("runs", "&".join(f"label=k{n}:v" for n in range(11)), "label"),
        ("runs", f"label={'k' * 64}:v", "label.0"),
        ("runs", f"label=k:{'v' * 256}", "label.0"),
        ("runs", "label=k:%00", "label.0"),
        ("runs", "created_after=yesterday", "created_after"),
        ("runs", "created_before=2026-11-20T12:00:00", "created_before"),
        ("runs", "name=x", "name"),
        ("runs", "archived=any", "archived"),
        ("runs", "status=done&status=failed", "status"),
        ("runs", "limit=1&limit=2", "limit"),
        ("workloads", "archived=yes", "archived"),
        ("workloads", "name=", "name"),
        ("workloads", "status=done", "status"),
        ("workloads", "created_after=", "created_after"),
        ("workloads", "workload_id=wkl_1", "workload_id"),
    ],
)
def test_what_means_nothing_is_refused_and_says_where(path, query, field, acme: Speaker, check):
    answer = acme.get(f"/v1/{path}?{query}")
    assert answer.status_code == 422, answer.text
    assert check(answer)["errors"][0]["field"].split(".")[0] == field.split(".")[0]


def test_the_document_tells_every_filter(document):
    def names(path):
        return {parameter["name"] for parameter in document["paths"][path]["get"]["parameters"]}

    paged = {"limit", "cursor"}
    times = {"created_after", "created_before"}
    assert names("/v1/runs") == paged | times | {"status", "kind", "workload_id", "feasible", "cached", "label"}
    assert names("/v1/workloads") == paged | times | {"kind", "name", "label", "archived"}
    assert names("/v1/audit-events") == paged | times | {"action", "principal", "resource_kind", "resource_id"}
    for path in ("/v1/runs", "/v1/workloads"):
        [label] = [each for each in document["paths"][path]["get"]["parameters"] if each["name"] == "label"]
        assert (label["schema"]["type"], label["explode"], label["style"]) == ("array", True, "form")
        assert label["schema"]["items"]["pattern"]


def test_filters_stay_with_the_tenant(rival: Speaker, three):
    for query in ("label=team:care", f"workload_id={three[0]['workload_id']}", "kind=science"):
        assert rival.get(f"/v1/runs?{query}").json == {"items": []}
    for query in ("label=team:care", "name=one", "archived=any"):
        assert rival.get(f"/v1/workloads?{query}").json == {"items": []}
