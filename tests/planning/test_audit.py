"""Each accepted change has exactly one event, in its own transaction; what was refused or changed nothing has none."""

import pytest
from sqlalchemy import func, select

from service.access import Role
from service.errors import ConflictError, NotFoundError, PlannerError, PreconditionFailedError
from service.planning.audit import OPERATOR, Action, author_of, author_on_host, list_events
from service.planning.bootstrap import demo_keys, keys_file
from service.planning.cancel import cancel
from service.planning.change import archive, change
from service.planning.execute import execute
from service.planning.keys import authenticate, create_key, create_tenant, revoke_key, set_tenant_disabled
from service.planning.submit import submit
from service.planning.sweep import sweep
from service.store import workloads
from service.store.filters import AuditFilter
from service.store.tables.audit import AuditEventRow
from service.store.tables.workloads import WorkloadRow
from tests.planning.conftest import chat

ALL = AuditFilter()


def events(runtime, caller, **only):
    """Oldest first."""
    return list_events(runtime, caller, only=AuditFilter(**only))[::-1]


def told(event):
    return event.action, event.resource_id, event.old_state, event.new_state, event.request_id


@pytest.fixture
def since(runtime, caller, clock):
    """After the making of the caller's key."""
    clock.advance(1)
    return clock.now


def refused(kind: type[PlannerError], use, *arguments, **options) -> None:
    with pytest.raises(kind):
        use(*arguments, **options)


def test_a_mixed_sequence_is_told_once_each(runtime, caller, queue, clock, since):
    moments = []

    def then(use, *arguments, **options):
        clock.advance(1)
        moments.append(clock.now)
        return use(runtime, caller, *arguments, **options)

    run = then(submit, chat(), request_id="r1")
    execute(runtime, queue.take())
    cached = then(submit, chat(), request_id="r2")
    joining = then(submit, chat(isl_tokens=5), request_id="r3")
    second = then(change, run.workload_id, chat(isl_tokens=5), version=1, request_id="r4")
    refused(PreconditionFailedError, change, runtime, caller, run.workload_id, chat(), version=1, request_id="x")
    change(runtime, caller, run.workload_id, chat(isl_tokens=5), version=2, request_id="no change")
    refused(ConflictError, cancel, runtime, caller, run.id, request_id="x")
    then(cancel, joining.id, request_id="r5")
    cancel(runtime, caller, joining.id, request_id="again")
    refused(NotFoundError, cancel, runtime, caller, "run_0", request_id="x")
    then(archive, run.workload_id, version=2, request_id="r6")
    archive(runtime, caller, run.workload_id, version=2, request_id="again")
    refused(ConflictError, change, runtime, caller, run.workload_id, chat(), version=None, request_id="x")
    refused(PlannerError, submit, runtime, caller, chat(model="lama-3-70b"), request_id="x")
    sweep(runtime)
    while queue.sent:
        execute(runtime, queue.take())

    found = events(runtime, caller, created_after=since)
    assert [told(event) for event in found] == [
        ("workload.created", run.workload_id, None, f"version 1, {run.id} queued", "r1"),
        ("workload.created", cached.workload_id, None, f"version 1, {cached.id} done", "r2"),
        ("workload.created", joining.workload_id, None, f"version 1, {joining.id} queued", "r3"),
        ("workload.changed", run.workload_id, "version 1", f"version 2, {second.id} queued", "r4"),
        ("run.cancelled", joining.id, "queued", "cancelled", "r5"),
        ("workload.archived", run.workload_id, "version 2", "archived", "r6"),
    ]
    assert [event.created_at for event in found] == moments
    assert {(event.principal, event.key_id) for event in found} == {("ann", caller.key_id)}
    assert [event.resource_kind for event in found] == ["workload"] * 4 + ["run", "workload"]
    assert len({event.id for event in found}) == 6


def test_a_change_that_is_not_committed_is_not_told(runtime, caller, since, monkeypatch):
    """The event lies in the transaction of the change: a fault after both leaves neither."""

    class BrokenError(Exception):
        pass

    def broken(*_):
        raise BrokenError

    session_class = runtime.sessions.class_
    monkeypatch.setattr(session_class, "commit", broken)
    for use in (
        lambda: submit(runtime, caller, chat(), request_id="r"),
        lambda: create_key(runtime, caller.tenant_id, principal="bob", role=Role.SELLER),
        lambda: set_tenant_disabled(runtime, caller.tenant_id, disabled=True),
    ):
        with pytest.raises(BrokenError):
            use()
    monkeypatch.undo()
    assert events(runtime, caller, created_after=since) == ()


def test_keys_and_tenants_are_told_with_the_operator_as_author(runtime, caller, clock, since):
    made = create_key(runtime, caller.tenant_id, principal="bob", role=Role.SELLER)
    clock.advance(1)
    revoke_key(runtime, caller.tenant_id, made.id)
    refused(NotFoundError, revoke_key, runtime, caller.tenant_id, made.id)
    refused(NotFoundError, create_key, runtime, "ten_0", principal="bob", role=Role.SELLER)
    refused(NotFoundError, set_tenant_disabled, runtime, "ten_0", disabled=True)
    for disabled in (False, True, True, False, False):
        clock.advance(1)
        set_tenant_disabled(runtime, caller.tenant_id, disabled=disabled)
    found = events(runtime, caller, created_after=since)
    assert [told(event)[:4] for event in found] == [
        ("key.created", made.id, None, "live, seller for bob"),
        ("key.revoked", made.id, "live, seller for bob", "revoked"),
        ("tenant.disabled", caller.tenant_id, "enabled", "disabled"),
        ("tenant.enabled", caller.tenant_id, "disabled", "enabled"),
    ]
    assert {(event.principal, event.key_id) for event in found} == {(OPERATOR, None)}
    assert len({event.request_id for event in found}) == 4


def test_an_author_with_a_key_is_told(runtime, caller, since):
    admin = authenticate(runtime, create_key(runtime, caller.tenant_id, principal="eve", role=Role.ADMIN).token)
    made = create_key(runtime, caller.tenant_id, principal="bob", role=Role.SELLER, author=author_of(admin, "req_9"))
    [event] = events(runtime, caller, resource_id=made.id)
    assert (event.principal, event.key_id, event.request_id) == ("eve", admin.key_id, "req_9")


def test_the_start_of_the_embedded_default_tells_what_it_makes_and_revokes(runtime):
    demo_keys(runtime)
    keys_file(runtime).unlink()
    demo_keys(runtime)
    demo_keys(runtime)
    with runtime.sessions() as session:
        counted = dict(session.execute(select(AuditEventRow.action, func.count()).group_by(AuditEventRow.action)).all())
        principals = set(session.scalars(select(AuditEventRow.principal)))
        revoked = select(AuditEventRow.old_state).where(AuditEventRow.action == Action.KEY_REVOKED)
        lost = {(state or "").partition(" for ")[0] for state in session.scalars(revoked)}
    assert counted == {Action.TENANT_CREATED: 1, Action.KEY_CREATED: 2 * len(Role), Action.KEY_REVOKED: len(Role)}
    assert lost == {f"live, {role}" for role in Role}
    assert principals == {"start of the embedded default"}


def test_another_tenant_reads_nothing_of_it(runtime, caller, stranger):
    submit(runtime, caller, chat(), request_id="r1")
    assert {event.action for event in events(runtime, stranger)} == {"tenant.created", "key.created"}
    assert events(runtime, stranger, principal="ann", action="workload.created") == ()


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ({}, ["tenant.created", "key.created", "workload.created", "run.cancelled", "workload.archived"]),
        ({"action": "run.cancelled"}, ["run.cancelled"]),
        ({"resource_kind": "workload"}, ["workload.created", "workload.archived"]),
        ({"principal": "ann"}, ["workload.created", "run.cancelled", "workload.archived"]),
        ({"principal": "nobody"}, []),
    ],
)
def test_events_can_be_chosen(only, expected, runtime, caller, clock):
    clock.advance(1)
    run = submit(runtime, caller, chat(), request_id="r1")
    clock.advance(1)
    cancel(runtime, caller, run.id, request_id="r2")
    clock.advance(1)
    archive(runtime, caller, run.workload_id, version=1, request_id="r3")
    # Tenant and key are made in one moment, whose events have no order.
    assert sorted(event.action for event in events(runtime, caller, **only)) == sorted(expected)


def test_times_are_half_open_and_pages_newest_first(runtime, caller, clock):
    start = create_tenant(runtime, "acme") and clock.now
    ids = []
    for number in range(4):
        clock.advance(1)
        ids.append(submit(runtime, caller, chat(isl_tokens=10 + number), request_id="r").workload_id)
        if number == 1:
            second = clock.now
    assert [event.resource_id for event in events(runtime, caller, created_after=second)] == ids[1:]
    before = events(runtime, caller, created_before=second)
    assert [event.resource_id for event in before if event.resource_kind == "workload"] == ids[:1]
    assert events(runtime, caller, created_after=start, created_before=start) == ()
    first = list_events(runtime, caller, only=ALL, limit=2)
    rest = list_events(runtime, caller, only=ALL, before_id=first[-1].id)
    assert [event.resource_id for event in (*first, *rest)][:4] == ids[::-1]


def test_a_tenant_is_told_once_and_only_where_it_was_made(runtime):
    tenant_id = create_tenant(runtime, "umbrella", author=author_on_host("starter"))
    assert create_tenant(runtime, "umbrella") == tenant_id
    admin = authenticate(runtime, create_key(runtime, tenant_id, principal="eve", role=Role.ADMIN).token)
    assert create_tenant(runtime, "umbrella") == tenant_id
    [event] = events(runtime, admin, resource_kind="tenant")
    assert told(event) == ("tenant.created", tenant_id, None, "enabled", event.request_id)
    assert (event.principal, event.key_id) == ("starter", None)


def test_many_of_one_moment_are_each_told(runtime, caller, queue, clock, since):
    """What is answered from memory is written together; every workload has its own event all the same."""
    submit(runtime, caller, chat(), request_id="r0")
    execute(runtime, queue.take())
    clock.advance(1)
    again = [submit(runtime, caller, chat(), request_id=f"r{number}") for number in range(1, 4)]
    found = events(runtime, caller, created_after=since)[1:]
    assert {event.resource_id for event in found} == {run.workload_id for run in again}
    with runtime.sessions() as session:
        assert session.scalar(select(func.count()).select_from(WorkloadRow)) == 4
        assert workloads.get(session, caller.tenant_id, again[0].workload_id) is not None
