"""`python -m scripts.make_key TENANT ...`: an operator makes, lists and revokes API keys, and disables a tenant."""

import os
import sys
from datetime import datetime

import click

from config.environment import SettingsError
from scripts.installation import settings_of_installation
from service.access import Role
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
    disable: bool,
    enable: bool,
) -> None:
    """Only the hash of a key is kept: it is shown once, when it is made. A caller from Python gives its runtime."""
    making = principal is not None or role is not None
    if sum((making, listing, revoke is not None, disable, enable)) != 1 or (making and role is None):
        raise click.UsageError("Give TENANT with either PRINCIPAL and ROLE, or one option.")
    try:
        runtime = given or build_runtime(settings_of_installation(os.environ))
        if principal is not None and role is not None:
            made = create_key(runtime, create_tenant(runtime, tenant), principal=principal, role=Role(role))
            click.echo(made.token)
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
