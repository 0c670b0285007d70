import json

import pytest

from service.planning.batch.chunk import size_chunk
from service.queue import TaskName
from tests.planning.batch.conftest import FOLD, asking, lines

NDJSON, CSV = "application/x-ndjson", "text/csv"


@pytest.fixture
def work(runtime, queue):
    """Does what workers would, until no bell is left."""

    def run():
        while queue.sent:
            task, (batch_id, number) = queue.sent.pop(0)
            assert task is TaskName.SIZE_CHUNK
            size_chunk(runtime, batch_id, int(number))

    return run


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
