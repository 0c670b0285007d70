"""A group of commands one of which goes without its name: `runs ID` is `runs show ID`, beside `runs cancel ID`."""

from typing import Any

import click

_IMPLIED = f"{__name__}.implied"


class _Context(click.Context):
    """What is called without its name tells its usage without it."""

    @property
    def command_path(self) -> str:
        """The words before the arguments."""
        return super().command_path.rstrip()


class DefaultCommand(click.Command):
    """The command that goes without its name."""

    context_class = _Context


class WithDefault(click.Group):
    """Whatever does not begin with the name of a command is for the default one."""

    def __init__(self, *args: Any, default: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The arguments with the name of the command before them, `--help` alone too."""
        ctx.meta[_IMPLIED] = not (args and args[0] in self.commands)
        return super().parse_args(ctx, [self._default, *args] if ctx.meta[_IMPLIED] else args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command, under no name where it was given none."""
        name, command, rest = super().resolve_command(ctx, args)
        return "" if ctx.meta.get(_IMPLIED) else name, command, rest
