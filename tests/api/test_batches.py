import csv
import gzip
import json

import pytest

from service.planning.batch import receive
from tests.planning.batch.conftest import FOLD, asking, lines

NDJSON, CSV = "application/x-ndjson", "text/csv"


def post(speaker, *items, query="", media_type=NDJSON, data=None, **headers):
    body = lines(*items) if data is None else data
    return speaker.post(f"/v1/batches{query}", data=body, content_type=media_type, **headers)


def test_a_batch_is_posted_watched_and_read(acme, work):
    answer = post(acme, asking("one"), asking("typo", model="lama-3.1-8b"), FOLD, query="?name=nightly")
    assert answer.status_code == 202
    batch = answer.json
    assert (batch["name"], batch["status"], batch["items"], batch["counts"]["queued"]) == ("nightly", "accepted", 3, 3)
    place = answer.headers["Location"]
    assert acme.get(place).json["progress_fraction"] == 0
    work()
    done = acme.get(place)
    assert done.json["status"] == "done"
    assert (done.json["counts"]["done"], done.json["counts"]["refused"]) == (2, 1)
    assert acme.get(place, If_None_Match=done.headers["ETag"]).status_code == 304
    assert acme.get("/v1/batches").json["items"][0]["id"] == batch["id"]
    assert acme.get("/v1/batches?status=running").json["items"] == []
    found = [json.loads(line) for line in acme.get(f"{place}/results").data.splitlines()]
    assert [(item["line"], item["state"]) for item in found] == [(1, "done"), (2, "refused"), (3, "done")]
    assert found[1]["error"]["errors"][0]["did_you_mean"]
    paged = acme.get(f"{place}/items?limit=2").json
    rest = acme.get(f"{place}/items?limit=2&cursor={paged['next_cursor']}").json
    assert paged["items"] + rest["items"] == found
    assert "next_cursor" not in rest
    assert [item["line"] for item in acme.get(f"{place}/items?state=refused").json["items"]] == [2]
    assert [item["line"] for item in acme.get(f"{place}/items?kind=science").json["items"]] == [3]


TABLE = (
    b"name,labels.team,workload.kind,workload.model,workload.isl_tokens,workload.osl_tokens.mean,"
    b"workload.demand.requests_s,constraints.max_budget_usd,constraints.allowed_gpus\r\n"
    b'=1+1,care,inference,llama-3.1-8b,1000,200,5,6000000,"[""b200-sxm""]"\r\n'
    b'\r\n"two\r\nlines",,inference,llama-3.1-8b,1e3,200,5,,\r\n'
    b"three,,inference,lama-3.1-8b,1000,200,5,,\r\n"
)


def test_a_table_is_a_batch_and_its_results_are_a_table(acme, work):
    answer = post(acme, data=TABLE, media_type="text/csv; charset=utf-8")
    assert answer.status_code == 202
    place = answer.headers["Location"]
    work()
    found = acme.get(f"{place}/results", Accept=CSV)
    assert found.mimetype == CSV
    heading, *rows = found.text.splitlines()
    assert heading.startswith("line,name,state,kind,server,")
    # A name that spreadsheets would compute is text; one of two lines is refused, with its line in the upload.
    assert rows[0].startswith("2,'=1+1,done,inference,")
    assert rows[1].split(",")[:3] == ["4", "", "refused"]
    assert rows[2].split(",")[:3] == ["6", "three", "refused"]
    assert "b200" in rows[0]


def test_a_row_tells_what_its_total_is_without(acme, work):
    place = post(acme, asking("one")).headers["Location"]
    work()
    cost = acme.get(f"{place}/items").json["items"][0]["answer"]["option"]["cost"]
    # Support has no public price, and licences are paid by the year.
    assert {"prosupport", "nvidia-ai-enterprise"} <= set(cost["not_in_total"])
    row = next(csv.DictReader(acme.get(f"{place}/results", Accept=CSV).text.splitlines()))
    assert row["not_in_total"].split() == cost["not_in_total"]


def test_a_list_is_a_batch(acme, work):
    good = [json.dumps(item).encode() for item in (asking("one"), FOLD)]
    answer = post(acme, data=b"[%s, 7, 1 2, %s]" % tuple(good), media_type="application/json")
    work()
    found = acme.get(f"{answer.headers['Location']}/items").json["items"]
    assert [(item["line"], item["state"]) for item in found] == [
        (1, "done"),
        (2, "refused"),
        (3, "refused"),
        (4, "done"),
    ]


def test_a_dry_run_tells_what_would_be_refused_and_keeps_nothing(acme):
    answer = post(acme, asking("one"), b"{", asking("typo", model="lama-3.1-8b"), query="?dry_run=true")
    assert answer.status_code == 200
    assert (answer.json["items"], answer.json["accepted"], answer.json["refused"]) == (3, 1, 2)
    assert [refusal["error"]["code"] for refusal in answer.json["refusals"]] == ["malformed_body", "unknown_reference"]
    assert acme.get("/v1/batches").json["items"] == []


def test_the_same_upload_under_its_key_is_one_batch(acme, rival, work):
    first = post(acme, asking("one"), Idempotency_Key="k1")
    work()
    again = post(acme, asking("one"), Idempotency_Key="k1")
    assert (again.status_code, again.data) == (202, first.data)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert post(acme, asking("two"), Idempotency_Key="k1").status_code == 422
    assert post(acme, asking("one"), Idempotency_Key="k1", query="?name=other").status_code == 422
    assert post(rival, asking("one"), Idempotency_Key="k1").json["id"] != first.json["id"]
    assert len(acme.get("/v1/batches").json["items"]) == 1


@pytest.mark.parametrize(
    ("data", "media_type", "status", "words"),
    [
        (b"", NDJSON, 422, "at least one"),
        (b"\n \n", NDJSON, 422, "at least one"),
        (b"[]", "application/json", 422, "at least one"),
        (b'{"a": 1}', "application/json", 400, "JSON list"),
        (b'[{"a": 1}, {"a": ', "application/json", 400, "item 2"),
        (b"[1}", "application/json", 400, "neither a comma"),
        (b"[1] 2", "application/json", 400, "something follows"),
        (b"[" * 100_000, "application/json", 400, "item 1 has no end"),
        (b"name,,x\n1,2,3\n", CSV, 422, "names no field"),
        (b"name,name\n1,2\n", CSV, 422, "stands twice"),
        (b'name\n"a', CSV, 400, "not CSV"),
        (b"a", "text/plain", 415, "text/csv"),
        (b"a", "application/x-ndjson; charset=latin-1", 415, "UTF-8"),
    ],
)
def test_what_is_no_list_of_workloads_is_refused_as_a_whole(acme, data, media_type, status, words):
    answer = post(acme, data=data, media_type=media_type)
    assert answer.status_code == status
    assert words in answer.json["detail"]
    assert acme.get("/v1/batches").json["items"] == []


def test_an_upload_that_is_too_long_is_refused(own_app, speaker, acme):
    limit = acme.client.application.extensions["headroom"].settings.batch_limit_bytes
    line = json.dumps(asking("x" * 100)).encode() + b"\n"
    answer = post(acme, data=line * (limit // len(line) + 1))
    assert answer.status_code == 413
    assert str(limit) in answer.json["detail"]
    # Other routes keep their own limit.
    assert acme.post("/v1/workloads", data=b" " * 2_000_000).status_code == 413


def test_too_many_workloads_are_refused(acme):
    answer = post(acme, data=b"{}\n" * 100_001)
    assert answer.status_code == 422
    assert "100000" in answer.json["detail"]
    assert acme.get("/v1/batches").json["items"] == []


def test_a_batch_is_cancelled(acme, work):
    place = post(acme, asking("one")).headers["Location"]
    assert acme.post(f"{place}/cancel").json["counts"]["cancelled"] == 1
    assert acme.post(f"{place}/cancel").json["status"] == "cancelled"
    work()
    assert acme.get(f"{place}/results").data.count(b'"state":"cancelled"') == 1
    done = post(acme, FOLD).headers["Location"]
    work()
    assert acme.post(f"{done}/cancel").status_code == 409


def test_another_tenants_batch_is_not_there(acme, rival):
    place = post(acme, asking("canary")).headers["Location"]
    for path in (place, f"{place}/items", f"{place}/results"):
        answer = rival.get(path)
        assert answer.status_code == 404
        assert b"canary" not in answer.data
    assert rival.post(f"{place}/cancel").status_code == 404
    assert rival.get("/v1/batches").json["items"] == []


def test_no_other_form_is_offered(acme):
    place = post(acme, asking("one")).headers["Location"]
    assert acme.get(f"{place}/results", Accept="application/pdf").status_code == 406
    assert acme.get(place, Accept=CSV).status_code == 406


def test_an_item_that_is_wrong_in_several_places_tells_all_of_them(acme, work):
    item = json.dumps({"workload": {"kind": "inference", "model": "llama-3.1-8b", "colour": 1}}).encode()
    dry = post(acme, item, query="?dry_run=true").json["refusals"][0]["error"]
    place = post(acme, item).headers["Location"]
    work()
    kept = json.loads(acme.get(f"{place}/results").data)["error"]
    row = acme.get(f"{place}/results", Accept=CSV).text
    assert len(kept["errors"]) > 1
    for one in kept["errors"]:
        assert all(f"{one['field']}: {one['message']}" in told for told in (dry["message"], kept["message"], row))
    assert "see errors" not in kept["message"]


@pytest.mark.parametrize("query", ["", "?dry_run=true"])
def test_a_number_of_thousands_of_digits_is_wrong_in_its_item_alone(acme, work, query):
    long = json.dumps(asking("long")).replace("1000", "9" * 5000)
    assert "9" * 5000 in long
    answer = post(acme, data=f"[{long}, {json.dumps(asking('good'))}]", media_type="application/json", query=query)
    if query:
        assert answer.status_code == 200
        assert (answer.json["accepted"], answer.json["refused"]) == (1, 1)
        assert "digits" in json.dumps(answer.json["refusals"][0]["error"])
    else:
        assert answer.status_code == 202
        work()
        assert acme.get(answer.headers["Location"]).json["counts"]["refused"] == 1


def test_too_many_items_are_refused_before_one_is_read(acme):
    for query in ("", "?dry_run=true"):
        answer = post(acme, data=b"{}\n" * 300_000, query=query)
        assert (answer.status_code, "at most 100000 workloads" in answer.json["detail"]) == (422, True)
    assert acme.get("/v1/batches").json["items"] == []


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, gzip", "zstd"])
def test_a_compressed_upload_is_refused_unread(acme, encoding):
    bomb = gzip.compress(b" " * 50_000_000)
    answer = post(acme, data=bomb, Content_Encoding=encoding)
    assert answer.status_code == 415
    assert acme.get("/v1/batches").json["items"] == []


@pytest.mark.parametrize("key", [{}, {"Idempotency_Key": "k1"}])
def test_an_upload_for_which_there_is_no_room_is_not_looked_at(acme, monkeypatch, key):
    monkeypatch.setattr(receive, "MOST_OPEN", 1)
    assert post(acme, asking("one")).status_code == 202
    # What it is would be told where it was looked at.
    answer = post(acme, data=b"[tru", media_type="application/json", **key)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "30")
    assert post(acme, data=b"[tru", media_type="application/json", query="?dry_run=true").status_code == 400
