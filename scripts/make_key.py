"""`python -m scripts.make_key TENANT PRINCIPAL ROLE`: an API key, shown once; makes the tenant when it is new."""

import sys

import click

from config.environment import SettingsError, settings_from_environment
from service.access import Role
from service.errors import PlannerError
from service.planning.keys import create_key, create_tenant
from service.runtime import build_runtime


@click.command()
@click.argument("tenant")
@click.argument("principal")
@click.argument("role", type=click.Choice([role.value for role in Role]))
def main(tenant: str, principal: str, role: str) -> None:
    """Make a key of ROLE for PRINCIPAL of TENANT and print it; only its hash is kept."""
    try:
        runtime = build_runtime(settings_from_environment())
        key = create_key(runtime, create_tenant(runtime, tenant), principal=principal, role=Role(role))
    except (PlannerError, SettingsError) as error:
        click.echo(f"headroom: {error}", err=True)
        sys.exit(1)
    click.echo(key.token)


if __name__ == "__main__":
    main()
