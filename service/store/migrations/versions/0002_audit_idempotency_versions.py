"""Audit events, idempotency keys, versions of workloads; the working of an answer apart from what callers read.

A result's body becomes what callers read, to the byte: the working leaves it, the versions it rests on enter it.
"""

import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


_RESULTS = sa.table("results", *map(sa.column, ("tenant_id", "digest", "body", "working")))
_VERSIONS = ("catalog_version", "calibration_version", "price_book_digest")
_RUNS = sa.table("runs", *map(sa.column, ("tenant_id", "digest", "status", *_VERSIONS)))


_Change = Callable[[sa.Connection, str, str, Any, Any], tuple[Any, Any]]


def _rewrite(change: _Change) -> None:
    """Change every result, one at a time: they are long."""
    connection = op.get_bind()
    for tenant_id, digest in connection.execute(sa.select(_RESULTS.c.tenant_id, _RESULTS.c.digest)).all():
        this = sa.and_(_RESULTS.c.tenant_id == tenant_id, _RESULTS.c.digest == digest)
        body, working = connection.execute(sa.select(_RESULTS.c.body, _RESULTS.c.working).where(this)).one()
        body, working = change(connection, tenant_id, digest, json.loads(body), json.loads(working))
        changed = {"body": _canonical(body), "working": _canonical(working)}
        connection.execute(sa.update(_RESULTS).where(this).values(changed))


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _apart(connection: sa.Connection, tenant_id: str, digest: str, body: Any, _working: Any) -> tuple[Any, Any]:
    working = {str(option["rank"]): option.pop("working") for option in body["options"]}
    where = sa.and_(_RUNS.c.tenant_id == tenant_id, _RUNS.c.digest == digest, _RUNS.c.status == "done")
    run = connection.execute(sa.select(*(_RUNS.c[name] for name in _VERSIONS)).where(where).limit(1)).one()
    return body | dict(zip(_VERSIONS, run, strict=True)) | {"digest": digest}, working


def _together(_: sa.Connection, _tenant_id: str, _digest: str, body: Any, working: Any) -> tuple[Any, Any]:
    for name in (*_VERSIONS, "digest"):
        body.pop(name)
    for option in body["options"]:
        option["working"] = working[str(option["rank"])]
    return body, {}


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("resource_kind", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Text(), nullable=False),
        sa.Column("old_state", sa.Text(), nullable=True),
        sa.Column("new_state", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_audit_events_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
    )
    with op.batch_alter_table("audit_events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_events_tenant_id_id"), ["tenant_id", "id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_audit_events_tenant_id_resource_id"), ["tenant_id", "resource_id"], unique=False
        )

    op.create_table(
        "idempotency_keys",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Text(), nullable=False),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.JSON(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_idempotency_keys_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "key", name=op.f("pk_idempotency_keys")),
    )
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_idempotency_keys_created_at"), ["created_at"], unique=False)

    op.create_table(
        "workload_versions",
        sa.Column("workload_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_workload_versions_tenant_id_tenants")),
        sa.ForeignKeyConstraint(
            ["workload_id"], ["workloads.id"], name=op.f("fk_workload_versions_workload_id_workloads")
        ),
        sa.PrimaryKeyConstraint("workload_id", "version", name=op.f("pk_workload_versions")),
    )
    with op.batch_alter_table("results", schema=None) as batch_op:
        batch_op.add_column(sa.Column("working", sa.Text(), server_default="{}", nullable=False))
    _rewrite(_apart)

    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("workload_version", sa.Integer(), server_default="1", nullable=False))
        batch_op.add_column(sa.Column("traceparent", sa.Text(), nullable=True))

    with op.batch_alter_table("workloads", schema=None) as batch_op:
        batch_op.add_column(sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    _rewrite(_together)
    # In place: a batch would rebuild the table, which SQLite refuses while others refer to it.
    op.drop_column("workloads", "changed_at")

    op.drop_column("runs", "traceparent")
    op.drop_column("runs", "workload_version")

    op.drop_column("results", "working")

    op.drop_table("workload_versions")
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_idempotency_keys_created_at"))

    op.drop_table("idempotency_keys")
    with op.batch_alter_table("audit_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_events_tenant_id_resource_id"))
        batch_op.drop_index(batch_op.f("ix_audit_events_tenant_id_id"))

    op.drop_table("audit_events")
