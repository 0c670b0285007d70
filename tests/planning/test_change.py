"""Changing and archiving workloads: versions, their runs, and of two editors at once exactly one."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from service.errors import ConflictError, NotFoundError, PreconditionFailedError, UnknownReferenceError
from service.planning.audit import list_events
from service.planning.cancel import cancel
from service.planning.change import archive, change
from service.planning.execute import execute
from service.planning.history import get_version, list_versions
from service.planning.reading import get_run, get_workload, list_runs, list_workloads
from service.planning.submit import submit
from service.store.filters import AuditFilter
from service.store.tables.runs import RunRow
from service.store.tables.workloads import WorkloadVersionRow
from tests.planning.conftest import chat, rows

ANY = None


def put(runtime, caller, run, request, *, version=ANY):
    return change(runtime, caller, run.workload_id, request, version=version, request_id="req_2")


def test_a_change_is_a_new_version_with_a_run_of_its_own(runtime, caller, queue, clock, run):
    posted_at = clock.now
    clock.advance(60)
    changed = put(runtime, caller, run, chat(isl_tokens=1200), version=1)
    assert (changed.workload_id, changed.workload_version, changed.status) == (run.workload_id, 2, "queued")
    assert changed.id != run.id
    assert run.workload_version == 1
    found = get_workload(runtime, caller, run.workload_id)
    assert (found.version, found.created_at, found.changed_at) == (2, posted_at, clock.now)
    assert b'"isl_tokens":{"mean":1200' in found.question
    newest, first = list_versions(runtime, caller, run.workload_id)
    assert (newest.version, newest.created_at, newest.replaced_at) == (2, clock.now, None)
    assert (first.version, first.created_at, first.replaced_at) == (1, posted_at, clock.now)
    assert b'"isl_tokens":{"mean":1000' in first.question
    assert [get_version(runtime, caller, run.workload_id, number=number) for number in "12"] == [first, newest]
    while queue.sent:
        assert execute(runtime, queue.take())
    assert [get_run(runtime, caller, each.id).status for each in (run, changed)] == ["done", "done"]


def test_each_version_says_who_wrote_it(runtime, caller, stranger, run):
    colleague = type(caller)(tenant_id=caller.tenant_id, principal="bob", role=caller.role, key_id="key_b")
    change(runtime, colleague, run.workload_id, chat(isl_tokens=7), version=1, request_id="req_2")
    assert [each.principal for each in list_versions(runtime, caller, run.workload_id)] == ["bob", "ann"]


def test_back_to_a_question_that_was_answered_is_answered_at_once(runtime, caller, queue, run):
    execute(runtime, queue.take())
    put(runtime, caller, run, chat(isl_tokens=1200))
    back = put(runtime, caller, run, chat(), version=2)
    assert (back.status, back.cached, back.workload_version) == ("done", True, 3)
    assert back.result == get_run(runtime, caller, run.id).result


def test_a_change_joins_an_open_run_of_the_same_question(runtime, caller, queue, run):
    other = submit(runtime, caller, chat(isl_tokens=1200), request_id="req_1")
    queue.sent.clear()
    joined = put(runtime, caller, run, chat(isl_tokens=1200))
    assert queue.sent == []
    execute(runtime, other.id)
    assert get_run(runtime, caller, joined.id).status == "done"


@pytest.mark.parametrize("version", [1, ANY])
def test_what_changes_nothing_is_answered_with_the_newest_run(version, runtime, caller, queue, run):
    execute(runtime, queue.take())
    again = put(runtime, caller, run, chat(), version=version)
    assert again == get_run(runtime, caller, run.id)
    assert (rows(runtime, RunRow), rows(runtime, WorkloadVersionRow)) == (1, 0)
    assert get_workload(runtime, caller, run.workload_id).changed_at is None


def test_the_answer_is_a_run_of_the_newest_version_whatever_the_clocks_of_hosts_say(runtime, caller, clock, run):
    clock.advance(-60)
    changed = put(runtime, caller, run, chat(isl_tokens=1200))
    assert changed.id < run.id
    clock.advance(60)
    assert put(runtime, caller, run, chat(isl_tokens=1200)).id == changed.id


def failed(runtime, caller, run):
    assert execute(runtime, run.id, solve=lambda *_: 1 // 0)


def cancelled(runtime, caller, run):
    cancel(runtime, caller, run.id, request_id="req_c")


def done(runtime, caller, run):
    assert execute(runtime, run.id)


def same(runtime):
    return runtime


def newer(runtime):
    return replace(runtime, catalog=replace(runtime.catalog, version="sha256:newer"))


def dearer(runtime):
    return replace(runtime, price_book=replace(runtime.price_book, digest="sha256:other"))


@pytest.mark.parametrize(("ends", "becomes"), [(failed, same), (cancelled, same), (done, newer), (done, dearer)])
def test_where_no_run_of_the_version_stands_another_one_is_made(ends, becomes, runtime, caller, run):
    ends(runtime, caller, run)
    now = becomes(runtime)
    again = put(now, caller, run, chat(), version=1)
    assert (again.status, again.workload_version, again.id != run.id) == ("queued", 1, True)
    assert put(now, caller, run, chat(), version=1).id == again.id
    assert execute(now, again.id)
    stands = put(now, caller, run, chat(), version=1)
    assert (stands.id, stands.status) == (again.id, "done")
    assert (rows(runtime, RunRow), rows(runtime, WorkloadVersionRow)) == (2, 0)
    assert get_workload(runtime, caller, run.workload_id).changed_at is None
    (event,) = list_events(runtime, caller, only=AuditFilter(action="run.created"))
    assert (event.resource_id, event.new_state, event.request_id) == (again.id, "queued", "req_2")


def test_an_open_run_stands_under_newer_versions_too(runtime, caller, run):
    """Whoever takes it answers it under its own."""
    assert put(newer(runtime), caller, run, chat()).id == run.id


@pytest.mark.parametrize("change_of", [{"name": "else"}, {"labels": {"team": "other"}}, {"name": None}])
def test_a_name_or_a_label_is_a_change(change_of, runtime, caller, run):
    request = chat()
    for name, value in change_of.items():
        object.__setattr__(request, name, value)
    assert put(runtime, caller, run, request, version=1).workload_version == 2


def test_over_a_version_that_is_no_longer_the_newest_nothing_is_written(runtime, caller, run):
    put(runtime, caller, run, chat(isl_tokens=1200), version=1)
    for late in (chat(isl_tokens=1300), chat(), chat(isl_tokens=1200)):
        with pytest.raises(PreconditionFailedError, match="version 2"):
            put(runtime, caller, run, late, version=1)
    with pytest.raises(PreconditionFailedError):
        archive(runtime, caller, run.workload_id, version=1, request_id="req_3")
    assert (rows(runtime, RunRow), rows(runtime, WorkloadVersionRow)) == (2, 1)
    assert put(runtime, caller, run, chat(isl_tokens=1300), version=ANY).workload_version == 3


def test_a_wrong_reference_changes_nothing(runtime, caller, run):
    with pytest.raises(UnknownReferenceError):
        put(runtime, caller, run, chat(model="lama-3-70b"))
    assert get_workload(runtime, caller, run.workload_id).version == 1


def test_an_archived_workload_is_read_and_neither_listed_nor_changed(runtime, caller, queue, clock, run):
    clock.advance(5)
    archive(runtime, caller, run.workload_id, version=1, request_id="req_3")
    archived_at = clock.now
    assert list_workloads(runtime, caller) == ()
    clock.advance(5)
    for version in (1, 7, ANY):
        archive(runtime, caller, run.workload_id, version=version, request_id="req_3")
        with pytest.raises(ConflictError, match="archived"):
            put(runtime, caller, run, chat(isl_tokens=7), version=version)
    found = get_workload(runtime, caller, run.workload_id)
    assert (found.archived_at, found.version) == (archived_at, 1)
    assert [each.version for each in list_versions(runtime, caller, run.workload_id)] == [1]
    assert execute(runtime, queue.take())
    assert [each.status for each in list_runs(runtime, caller)] == ["done"]


def test_workloads_of_others_are_none(runtime, caller, stranger, run):
    put(runtime, caller, run, chat(isl_tokens=7))
    for use in (
        lambda: put(runtime, stranger, run, chat()),
        lambda: archive(runtime, stranger, run.workload_id, version=ANY, request_id="req_3"),
        lambda: list_versions(runtime, stranger, run.workload_id),
        lambda: get_version(runtime, stranger, run.workload_id, number="1"),
    ):
        with pytest.raises(NotFoundError):
            use()
    assert get_workload(runtime, caller, run.workload_id).archived_at is None


@pytest.mark.parametrize("number", ["0", "3", "01", "-1", "1.0", "x", "²", "9" * 30, ""])
def test_a_version_that_is_none(number, runtime, caller, run):
    put(runtime, caller, run, chat(isl_tokens=7))
    with pytest.raises(NotFoundError, match="newest is 2"):
        get_version(runtime, caller, run.workload_id, number=number)


def test_versions_are_paged_newest_first(runtime, caller, run):
    for number in range(4):
        put(runtime, caller, run, chat(isl_tokens=100 + number))

    def numbers(**page):
        return [each.version for each in list_versions(runtime, caller, run.workload_id, **page)]

    assert numbers() == [5, 4, 3, 2, 1]
    assert numbers(limit=2) == [5, 4]
    assert numbers(before=4, limit=2) == [3, 2]
    assert numbers(before=9, limit=1) == [5]
    assert numbers(before=1) == []


@pytest.mark.parametrize("archives", [False, True])
def test_of_editors_at_once_with_one_tag_exactly_one_wins(archives, build, runtime, caller, run):
    """Each through a process of its own: the database decides, not a lock in this one."""
    runtimes = [build() for _ in range(4)]
    barrier = threading.Barrier(len(runtimes))

    def edit(pair):
        number, other = pair
        barrier.wait(10)
        try:
            if archives and number == 0:
                return archive(other, caller, run.workload_id, version=version, request_id="req_3") or "archived"
            return put(other, caller, run, chat(isl_tokens=1000 * version + number), version=version).workload_version
        except (PreconditionFailedError, ConflictError) as error:
            return error.code

    with ThreadPoolExecutor(len(runtimes)) as pool:
        for version in range(1, 11):
            ended = list(pool.map(edit, enumerate(runtimes)))
            won = [each for each in ended if each in {version + 1, "archived"}]
            assert len(won) == 1, ended
            assert max(each.version for each in list_versions(runtime, caller, run.workload_id)) == (
                version if won == ["archived"] else version + 1
            )
            if won == ["archived"]:
                break


def test_editors_who_overwrite_whatever_is_there_all_win(build, runtime, caller, run):
    runtimes = [build() for _ in range(4)]
    barrier = threading.Barrier(len(runtimes))

    def edit(pair):
        barrier.wait(10)
        return put(pair[1], caller, run, chat(isl_tokens=100 + pair[0])).workload_version

    with ThreadPoolExecutor(len(runtimes)) as pool:
        assert sorted(pool.map(edit, enumerate(runtimes))) == [2, 3, 4, 5]
    assert [each.version for each in list_versions(runtime, caller, run.workload_id)] == [5, 4, 3, 2, 1]
