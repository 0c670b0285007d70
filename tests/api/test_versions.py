"""PUT, DELETE and the versions of workloads over HTTP: conditional, documented, and nobody's work overwritten."""

import pytest

from tests.api.conftest import Speaker
from tests.fakes import ListQueue
from tests.schemas.requests import SMALL_CHAT, changed

OTHER = changed(SMALL_CHAT, "workload.isl_tokens", 1234)


@pytest.fixture
def path(acme: Speaker) -> str:
    """A workload, posted."""
    return f"/v1/workloads/{acme.post('/v1/workloads', SMALL_CHAT).json['workload_id']}"


def test_the_walk_of_a_change(acme: Speaker, path, check, work):
    read = acme.get(path)
    assert check(read)["changed_at"] is None
    answer = acme.put(path, OTHER, If_Match=read.headers["ETag"])
    assert answer.status_code == 202
    run = check(answer)
    assert (run["workload_version"], run["status"]) == (2, "queued")
    assert answer.headers["Location"] == f"/v1/runs/{run['id']}"
    again = acme.get(path)
    assert again.headers["ETag"] == answer.headers["ETag"] != read.headers["ETag"]
    found = check(again)
    assert (found["version"], found["workload"]["isl_tokens"]["mean"]) == (2, 1234)
    assert found["changed_at"] >= found["created_at"]
    work()
    back = acme.put(path, SMALL_CHAT, If_Match=again.headers["ETag"])
    assert back.status_code == 200
    assert (check(back)["cached"], back.json["workload_version"]) == (True, 3)
    runs = check(acme.get(f"{path}/runs"))["items"]
    assert sorted(each["workload_version"] for each in runs) == [1, 2, 3]


def test_what_changes_nothing_is_the_newest_run(acme: Speaker, path, check, work):
    tag = acme.get(path).headers["ETag"]
    queued = acme.put(path, SMALL_CHAT, If_Match=tag)
    assert (queued.status_code, check(queued)["status"]) == (202, "queued")
    work()
    done = acme.put(path, SMALL_CHAT, If_Match=tag)
    assert (done.status_code, check(done)["id"]) == (200, queued.json["id"])
    assert done.headers["ETag"] == tag == acme.get(path).headers["ETag"]
    assert len(acme.get(f"{path}/runs").json["items"]) == 1


def test_waiting_for_the_run_of_a_change(acme: Speaker, path, check):
    answer = acme.put(path, OTHER, If_Match="*", Prefer="wait=1")
    check(answer)
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (202, "wait=1")


def test_without_a_condition_nothing_is_changed(acme: Speaker, path, check):
    for answer in (acme.put(path, OTHER), acme.delete(path)):
        assert answer.status_code == 428
        assert check(answer)["type"] == "/problems/precondition-required"
        assert "If-Match" in answer.json["detail"]
    assert acme.get(path).json["version"] == 1


def test_over_a_newer_version_nothing_is_changed(acme: Speaker, path, check):
    stale = acme.get(path).headers["ETag"]
    assert acme.put(path, OTHER, If_Match=stale).status_code == 202
    for answer in (acme.put(path, SMALL_CHAT, If_Match=stale), acme.delete(path, If_Match=stale)):
        assert answer.status_code == 412
        assert check(answer)["type"] == "/problems/precondition-failed"
    assert acme.get(path).json["version"] == 2


MATCHING = {
    "itself": "{tag}",
    "any": "*",
    "any, with blanks": "  * ",
    "one of several": '"a", {tag},"b"',
    "among empty places": ', ,{tag} , "x",',
    "beside a weak one": 'W/"a", {tag}',
    "beside one with a comma": '"a,b", {tag}',
}
OTHERS = {
    "another": '"5d41402abc4b2a76b9719d911017c592"',
    "weak": "W/{tag}",
    "empty tag": '""',
    "a star in quotes": '"*"',
    "inside another": '"x{bare}x"',
}
MALFORMED = {
    "bare": "{bare}",
    "half quoted": '"{bare}',
    "no comma": '"a" {tag}',
    "star among tags": "*, {tag}",
    "two stars": "*,*",
    "small w": "w/{tag}",
    "blank inside": '"a b"',
    "empty": "",
    "commas": ",,",
}


def condition(text: str, tag: str) -> str:
    return text.format(tag=tag, bare=tag.strip('"'))


@pytest.mark.parametrize("text", MATCHING.values(), ids=MATCHING)
def test_a_condition_that_holds(text, acme: Speaker, path):
    tag = acme.get(path).headers["ETag"]
    assert acme.put(path, OTHER, If_Match=condition(text, tag)).status_code == 202


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS)
def test_a_condition_that_does_not_hold(text, acme: Speaker, path):
    tag = acme.get(path).headers["ETag"]
    assert acme.put(path, OTHER, If_Match=condition(text, tag)).status_code == 412
    assert acme.get(path).json["version"] == 1


def test_a_weak_tag_is_told_from_a_change(acme: Speaker, path):
    tag = acme.get(path).headers["ETag"]
    assert "weak tag never matches" in acme.put(path, OTHER, If_Match=f"W/{tag}").json["detail"]
    assert "changed after" in acme.put(path, OTHER, If_Match='W/"5d41402a"').json["detail"]


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_a_condition_that_cannot_be_read(text, acme: Speaker, path, check):
    tag = acme.get(path).headers["ETag"]
    answer = acme.put(path, OTHER, If_Match=condition(text, tag))
    assert answer.status_code == 400
    assert check(answer)["type"] == "/problems/malformed-condition"
    assert acme.get(path).json["version"] == 1


def test_a_long_malformed_condition_is_refused_at_once(acme: Speaker, path):
    """Nothing in it makes the expression go back and forth."""
    for text in ('"a",' * 15_000 + "x", ", " * 30_000 + "x", '"' + "a" * 60_000):
        assert acme.put(path, OTHER, If_Match=text).status_code == 400


def test_archived_is_read_and_no_longer_listed_or_changed(acme: Speaker, path, check):
    tag = acme.get(path).headers["ETag"]
    answer = acme.delete(path, If_Match=tag)
    assert (answer.status_code, answer.data) == (204, b"")
    read = acme.get(path)
    assert check(read)["archived_at"]
    assert read.headers["ETag"] != tag
    assert acme.get("/v1/workloads").json["items"] == []
    assert len(check(acme.get(f"{path}/runs"))["items"]) == 1
    for current in (tag, read.headers["ETag"], "*"):
        assert acme.delete(path, If_Match=current).status_code == 204
        refused = acme.put(path, OTHER, If_Match=current)
        assert refused.status_code == 409
        assert "archived" in check(refused)["detail"]
    assert acme.delete(path).status_code == 428
    assert acme.get(path).json == read.json


def test_reading_is_conditional(acme: Speaker, path, check):
    tag = acme.get(path).headers["ETag"]
    check(acme.get(path, If_None_Match=tag))
    assert acme.get(path, If_None_Match=tag).status_code == 304
    acme.put(path, OTHER, If_Match=tag)
    assert acme.get(path, If_None_Match=tag).status_code == 200
    first = acme.get(f"{path}/versions/1")
    assert acme.get(f"{path}/versions/1", If_None_Match=first.headers["ETag"]).status_code == 304
    newest = acme.get(f"{path}/versions/2")
    acme.put(path, SMALL_CHAT, If_Match="*")
    assert acme.get(f"{path}/versions/2", If_None_Match=newest.headers["ETag"]).status_code == 200


def test_versions_are_read_and_paged(acme: Speaker, path, check):
    for number in range(2, 6):
        assert acme.put(path, changed(SMALL_CHAT, "workload.isl_tokens", number), If_Match="*").status_code == 202
    seen, query = [], "limit=2"
    while query:
        found = check(acme.get(f"{path}/versions?{query}"))
        seen += found["items"]
        query = f"limit=2&cursor={found['next_cursor']}" if "next_cursor" in found else ""
    assert [each["version"] for each in seen] == [5, 4, 3, 2, 1]
    assert seen[0]["replaced_at"] is None
    for each in seen:
        assert check(acme.get(f"{path}/versions/{each['version']}")) == each
    check(acme.get(f"{path}/versions/6"))
    assert acme.get(f"{path}/versions/6").status_code == 404


def test_a_cursor_of_another_list_is_refused(acme: Speaker, path, check):
    for number in range(2, 4):
        acme.put(path, changed(SMALL_CHAT, "workload.isl_tokens", number), If_Match="*")
    acme.post("/v1/workloads", OTHER)
    lists = ["/v1/runs", "/v1/workloads", f"{path}/versions", "/v1/catalog/gpus", "/v1/catalog/servers"]
    cursors = {each: acme.get(f"{each}?limit=1").json["next_cursor"] for each in lists}
    for each in lists:
        for of, cursor in cursors.items():
            assert acme.get(f"{each}?cursor={cursor}").status_code == (200 if each == of else 422)
    refused = check(acme.get(f"/v1/runs?cursor={cursors['/v1/workloads']}"))
    assert refused["errors"][0]["field"] == "cursor"


def test_workloads_of_others_and_of_nobody_are_not_there(acme: Speaker, rival: Speaker, path, check, queue: ListQueue):
    queue.sent.clear()
    for where in (path, "/v1/workloads/wkl_0"):
        answers = [
            rival.put(where, OTHER, If_Match="*"),
            rival.put(where, OTHER),
            rival.delete(where, If_Match="*"),
            rival.get(f"{where}/versions"),
            rival.get(f"{where}/versions/1"),
        ]
        for answer in answers:
            assert answer.status_code == 404
            check(answer)
    assert queue.sent == []
    assert acme.get(path).json["archived_at"] is None


def test_a_wrong_body_is_told_before_anything_else(acme: Speaker, path, check):
    answer = acme.put(path, changed(SMALL_CHAT, "workload.isl_tokens", 0), If_Match="*")
    assert answer.status_code == 422
    check(answer)
    check(acme.put(path, changed(SMALL_CHAT, "workload.model", "lama-3-70b"), If_Match="*"))
    assert acme.get(path).json["version"] == 1
