"""A group of commands one of which goes without its name: `runs ID` is `runs show ID`, beside `runs cancel ID`."""

from typing import Any

import click

_IMPLIED = f"{__name__}.implied"
# What click leaves between the margin, a name and its help.
_HELP_INDENT = 6


class _Context(click.Context):
    """What is called without its name tells its usage without it."""

    @property
    def command_path(self) -> str:
        """The words before the arguments."""
        return super().command_path.rstrip()


class DefaultCommand(click.Command):
    """The command that goes without its name; its help tells the others of its group, which nobody would find else."""

    context_class = _Context

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options, then the other commands of the group."""
        super().format_options(ctx, formatter)
        group = None if ctx.parent is None else ctx.parent.command
        if not isinstance(group, click.Group):
            return
        others = [(name, command) for name, command in sorted(group.commands.items()) if command is not self]
        width = formatter.width - _HELP_INDENT - max((len(name) for name, _ in others), default=0)
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(width)) for name, command in others])


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
