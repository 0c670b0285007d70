"""Everything that a tenant has in the database, as one digest: what changes of it is noticed, whatever it is."""

from collections.abc import Iterator

from sqlalchemy import Table

from service.store.schema import TABLES

# What answers a repeated call is the caller's own.
_LEFT_OUT = frozenset({"idempotency_keys", "browser_sessions"})
# When a key was last used is no change, nor is that a worker was rung for once more.
_VOLATILE = ("last_used_at", "sent_at")


def belonging() -> dict[str, str]:
    """For each table with rows of tenants, which of them are those of one: a condition with one place."""
    found = {}
    for row in TABLES:
        table: Table = row.__table__  # type: ignore[assignment]  # mapped classes of tables have a table
        if table.name not in _LEFT_OUT and (condition := _condition(table)) is not None:
            found[table.name] = condition
    return found


def _condition(table: Table) -> str | None:
    if "tenant_id" in table.columns:
        return "tenant_id = %(tenant)s"
    for key in sorted(table.foreign_keys, key=lambda key: key.parent.name):
        if (of_parent := _condition(key.column.table)) is not None:
            parent = key.column.table.name
            return f"{key.parent.name} IN (SELECT {key.column.name} FROM {parent} WHERE {of_parent})"  # noqa: S608 - the schema's own names
    return None


def statements() -> Iterator[tuple[str, bytes]]:
    """By table, what tells the digest of its rows of a tenant."""
    for name, condition in belonging().items():
        without = " ".join(f"- '{column}'" for column in _VOLATILE)
        told = f"(to_jsonb(t) {without})::text"
        digest = f"count(*) || ' ' || coalesce(md5(string_agg({told}, '' ORDER BY {told})), '')"
        query = f"SELECT {digest} FROM (SELECT * FROM {name} WHERE {condition}) AS t"  # noqa: S608 - the schema's own names
        yield name, query.encode()
