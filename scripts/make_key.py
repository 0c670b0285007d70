"""`python -m scripts.make_key TENANT ...`: an operator makes tenants and keys, sets quotas, revokes and disables."""

import os
import sys
from dataclasses import asdict, fields, replace
from datetime import datetime, timedelta

import click

from config.environment import SettingsError
from scripts.installation import settings_of_installation
from service.access import Quota, Role
from service.errors import PlannerError
from service.planning.keys import (
    KeySheet,
    create_key,
    create_tenant,
    find_tenant,
    list_keys,
    revoke_key,
    set_tenant_disabled,
)
from service.planning.quotas import quota_of, set_quota
from service.runtime import Runtime, build_runtime


@click.command(
    help="Make a key of ROLE for PRINCIPAL of TENANT and print it, or do one of the options to TENANT. The "
    "installation is that of the environment, or else the one that scripts/run keeps in HEADROOM_DATA_DIR, whether it "
    "runs or not."
)
@click.argument("tenant")
@click.argument("principal", required=False)
@click.argument("role", required=False, type=click.Choice([role.value for role in Role]))
@click.option("--list", "listing", is_flag=True, help="The tenant's keys by id, revoked ones too.")
@click.option("--revoke", metavar="KEY_ID", help="Revoke this key at once.")
@click.option("--expires-days", type=click.IntRange(min=1), metavar="N", help="The new key ends after so many days.")
@click.option("--create", is_flag=True, help="Make the tenant, without a key; with its quotas, if they are given.")
@click.option(
    "--quota",
    "quotas",
    multiple=True,
    metavar="NAME=N",
    help="What the tenant may do in place of what everybody may: reads, writes (calls per window), open_runs; NAME= "
    "takes it back. May be repeated.",
)
@click.option("--disable", is_flag=True, help="Stop all keys and queued runs of the tenant.")
@click.option("--enable", is_flag=True, help="Undo --disable.")
@click.pass_obj
def main(
    given: Runtime | None,
    tenant: str,
    principal: str | None,
    *,
    role: str | None,
    listing: bool,
    revoke: str | None,
    expires_days: int | None,
    create: bool,
    quotas: tuple[str, ...],
    disable: bool,
    enable: bool,
) -> None:
    """Only the hash of a key is kept: it is shown once, when it is made. A caller from Python gives its runtime."""
    making = principal is not None or role is not None
    asked = sum((making, listing, revoke is not None, create or bool(quotas), disable, enable))
    if asked != 1 or (making and role is None) or (expires_days is not None and not making):
        raise click.UsageError("Give TENANT with either PRINCIPAL and ROLE, or one option.")
    wanted = dict(map(_quota, quotas))
    try:
        runtime = given or build_runtime(settings_of_installation(os.environ))
        if principal is not None and role is not None:
            ends_at = None if expires_days is None else runtime.clock() + timedelta(days=expires_days)
            tenant_id = create_tenant(runtime, tenant)
            made = create_key(runtime, tenant_id, principal=principal, role=Role(role), expires_at=ends_at)
            click.echo(made.token)
        elif create or wanted:
            if create:
                click.echo(f"{tenant} is {create_tenant(runtime, tenant)}.")
            if wanted:
                _limit(runtime, tenant, wanted)
        elif revoke is not None:
            revoke_key(runtime, find_tenant(runtime, tenant), revoke)
            click.echo(f"{revoke} of {tenant} is revoked.")
        elif listing:
            _show(list_keys(runtime, find_tenant(runtime, tenant)))
        else:
            _switch(runtime, tenant, disabled=disable)
    except (PlannerError, SettingsError) as error:
        click.echo(f"headroom: {error}", err=True)
        sys.exit(1)


def _quota(text: str) -> tuple[str, int | None]:
    name, equals, count = text.partition("=")
    names = [field.name for field in fields(Quota)]
    if name not in names or not equals or not (count == "" or (count.isascii() and count.isdigit() and int(count) > 0)):
        raise click.UsageError(f"A quota is NAME=N with one of {', '.join(names)} and a number above 0, not {text!r}.")
    return name, int(count) if count else None


def _limit(runtime: Runtime, tenant: str, wanted: dict[str, int | None]) -> None:
    tenant_id = find_tenant(runtime, tenant)
    quota = replace(quota_of(runtime, tenant_id), **wanted)
    set_quota(runtime, tenant_id, quota)
    own = (f"{name} {count}" for name, count in asdict(quota).items() if count is not None)
    click.echo(f"{tenant}: {', '.join(own) or 'as everybody'}.")


def _switch(runtime: Runtime, tenant: str, *, disabled: bool) -> None:
    set_tenant_disabled(runtime, find_tenant(runtime, tenant), disabled=disabled)
    click.echo(f"{tenant} is {'disabled' if disabled else 'enabled'}.")


def _show(keys: list[KeySheet]) -> None:
    """One line a key: id, how it begins, principal, role, when it was made and last used, whether it still opens."""
    for key in keys:
        state = f"revoked {_at(key.revoked_at)}" if key.revoked_at else f"expires {_at(key.expires_at)}"
        moments = (f"made {_at(key.created_at)}", f"used {_at(key.last_used_at)}", state)
        click.echo("  ".join((key.id, f"{key.start}...", key.principal, key.role, *moments)))


def _at(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


if __name__ == "__main__":
    main()
