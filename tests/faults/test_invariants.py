"""The statements about the database find nothing of what the product has written, and all that is damaged in it."""

import dataclasses

import psycopg
import pytest

from scripts.faulting.checker import _SQL, in_database, statements
from service.access import Quota, Role
from service.planning.keys import create_key, create_tenant, revoke_key, set_tenant_disabled
from service.planning.quotas import set_quota
from service.runtime import build_runtime
from service.store.migrate import upgrade

RESULT = """INSERT INTO results (tenant_id, digest, body, feasible, created_at)
    SELECT id, 'sha256:a', '%s', true, now() FROM tenants WHERE name = '%s'"""
VERSIONS = '"engine_version": "1", "catalog_version": "1", "calibration_version": "1"'


TOLD_TWICE = """INSERT INTO audit_events SELECT id || '2', tenant_id, principal, key_id, action, resource_kind,
    resource_id, old_state, new_state, request_id, created_at FROM audit_events WHERE action = 'key.created'"""
OF_ANOTHER = """UPDATE audit_events
    SET key_id = (SELECT k.id FROM api_keys k WHERE k.tenant_id <> audit_events.tenant_id LIMIT 1)"""


def test_every_statement_of_the_file_is_read():
    text = _SQL.read_text(encoding="utf-8")
    read = list(statements(text))
    assert len(read) == text.count("\n-- I") == text.count(";\n")
    assert {statement.invariant for statement in read} >= {"I1", "I2", "I3", "I5", "I6", "I8", "I9"}


@pytest.fixture
def database(settings, postgresql_url):
    """Tenants with keys and quotas, made by the product."""
    upgrade(postgresql_url)
    runtime = build_runtime(dataclasses.replace(settings, database_url=postgresql_url))
    for name in ("acme", "bolt"):
        tenant_id = create_tenant(runtime, name)
        made = [create_key(runtime, tenant_id, principal="ann", role=role) for role in (Role.ADMIN, Role.SELLER)]
        revoke_key(runtime, tenant_id, made[1].id)
        for reads in (100, 200):
            set_quota(runtime, tenant_id, Quota(reads=reads))
        for disabled in (True, False):
            set_tenant_disabled(runtime, tenant_id, disabled=disabled)
    runtime.sessions.kw["bind"].dispose()
    with psycopg.connect(postgresql_url.replace("+psycopg", ""), autocommit=True) as connection:
        yield connection


DAMAGES = (
    ("DELETE FROM audit_events WHERE action = 'key.created'", "I9", "0 events tell that key"),
    ("DELETE FROM audit_events WHERE action = 'tenant.created'", "I9", "0 events tell that tenant"),
    (
        TOLD_TWICE,
        "I9",
        "2 events tell that key",
    ),
    ("DELETE FROM audit_events WHERE action = 'key.revoked'", "I9", "0 events tell that key"),
    ("UPDATE api_keys SET revoked_at = now()", "I9", "0 events tell that key"),
    ("UPDATE audit_events SET principal = ''", "I9", "lacks who"),
    ("UPDATE audit_events SET principal = 'ann'", "I9", "lacks who"),
    ("UPDATE audit_events SET request_id = ''", "I9", "lacks who"),
    ("UPDATE audit_events SET created_at = now() + interval '1 day'", "I9", "lacks who"),
    ("UPDATE tenants SET disabled_at = now()", "I9", 'its newest event says "enabled"'),
    (
        "UPDATE audit_events SET old_state = 'reads 5' WHERE action = 'tenant.quota_changed'",
        "I9",
        'a quota begins at "reads 5"',
    ),
    (RESULT % (f"{{{VERSIONS}}}", "acme"), "I5", "names no versions"),
    (
        ";".join(RESULT % (f'{{{VERSIONS}, "price_book_digest": "{name}"}}', name) for name in ("acme", "bolt")),
        "I5",
        "2 different answers to sha256:a",
    ),
    (
        OF_ANOTHER,
        "I3",
        "was made with key",
    ),
)


def test_nothing_is_found_until_it_is_damaged(database):
    assert list(in_database(database)) == []
    for damage, invariant, words in DAMAGES:
        with database.transaction(force_rollback=True):
            database.execute(damage)
            found = list(in_database(database))
        assert any(violation.invariant == invariant and words in violation.words for violation in found), damage
